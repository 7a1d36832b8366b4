"""What is asked of a stack: requests, and operations made of them."""

import base64
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Places in a path or a body that the load generator fills in. Session ids and values are numbers of
# eight digits, so that the length of a body is known beforehand.
SESSION = "{session}"
VALUE = "{value}"
FIRST_SESSION = 10_000_001


class WrongAnswerError(Exception):
    """A stack answered otherwise than it must: a figure from it would mean nothing."""


class NoAnswerError(Exception):
    """No answer came as long as the load lasted: something stood still, and there is nothing to measure."""


@dataclass(frozen=True)
class Request:
    """An HTTP request with places for the session and the value, and what answers it rightly."""

    method: str
    path: str
    body: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    shortest: int = 0
    """Bytes that an answer has at least."""
    right: Callable[[bytes], bool] = lambda _: True
    """Says whether an answer's body is right: asked before the load, not under it."""

    def filled(self, session: int, value: int) -> tuple[str, bytes | None]:
        """The path and the body for one session."""
        body = None if self.body is None else filled(self.body, session, value).encode()
        return filled(self.path, session, value), body

    def text(self, host: str) -> str:
        """The whole HTTP message, places left open, each byte one character."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None:
            length = len(filled(self.body, FIRST_SESSION, FIRST_SESSION).encode())
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", self.body or ""]).encode().decode("latin-1")


@dataclass(frozen=True)
class Operation:
    """What a user does: one request or several in a row, for a session that exists or a new one."""

    requests: tuple[Request, ...]
    new_sessions: bool = False
    writes: Mapping[str, object] | None = None
    """Properties that a session has afterwards, when VALUE was the session's number."""
    conflict: int = 0
    """A status by which the stack asks to try again: counted apart, not as an operation done."""

    @classmethod
    def of(
        cls,
        *requests: Request,
        new_sessions: bool = False,
        writes: Mapping[str, object] | None = None,
        conflict: int = 0,
    ) -> "Operation":
        return cls(requests, new_sessions, writes, conflict)


class Client:
    """One kept-alive connection to a stack."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, request: Request, session: int = FIRST_SESSION, value: int = 0) -> bytes:
        """Sends a request and returns the body of the answer.

        Raises:
            WrongAnswerError: the status or the body is not the right one.
        """
        path, body = request.filled(session, value or session)
        headers = {**request.headers, **({"Content-Type": "application/json"} if body else {})}
        self._connection.request(request.method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if (
            response.status != request.status
            or len(answer) < request.shortest
            or not request.right(answer)
        ):
            raise WrongAnswerError(
                f"{request.method} {path} answered {response.status} {answer[:500]!r}"
            )
        return answer

    def close(self) -> None:
        self._connection.close()


def filled(text: str, session: int, value: int) -> str:
    """A text with its places filled in."""
    return text.replace(SESSION, str(session)).replace(VALUE, str(value))


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def has_members(names: set[str]) -> Callable[[bytes], bool]:
    """A check that an answer is a JSON object with these members and no others."""
    return lambda body: set(json.loads(body)) == names
