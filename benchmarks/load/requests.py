"""Requests to a stack, and operations made of them."""

import base64
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Placeholders in a path or a body that the load generator replaces. Session ids and values are numbers
# of eight digits, so that the length of a body is known beforehand.
SESSION = "{session}"
VALUE = "{value}"
FIRST_SESSION = 10_000_001


class WrongResponseError(Exception):
    """A stack returned a wrong response, so its figures would be meaningless."""


class NoResponseError(Exception):
    """No response arrived during the load, because something stalled, so there are no figures."""


@dataclass(frozen=True)
class Request:
    """An HTTP request with placeholders for session and value, and the checks of its response."""

    method: str
    path: str
    body: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    shortest: int = 0
    """The minimum length of the response body, in bytes."""
    right: Callable[[bytes], bool] = lambda _: True
    """Returns whether the response body is correct. It is called before the load, not under load."""

    def filled(self, session: int, value: int) -> tuple[str, bytes | None]:
        """Returns the path and the body for one session."""
        body = None if self.body is None else filled(self.body, session, value).encode()
        return filled(self.path, session, value), body

    def text(self, host: str) -> str:
        """Returns the whole HTTP message with placeholders, with one character for each byte."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None:
            length = len(filled(self.body, FIRST_SESSION, FIRST_SESSION).encode())
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", self.body or ""]).encode().decode("latin-1")


@dataclass(frozen=True)
class Operation:
    """One or more requests in order, for an existing or a new session."""

    requests: tuple[Request, ...]
    new_sessions: bool = False
    writes: Mapping[str, object] | None = None
    """The properties that a session has afterwards, if VALUE was the session's number."""
    conflict: int = 0
    """A status with which the stack asks for a retry. It is counted separately, not as a completed operation."""

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
    """A persistent connection to a stack."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, request: Request, session: int = FIRST_SESSION, value: int = 0) -> bytes:
        """Sends a request and returns the body of the response.

        Raises:
            WrongResponseError: The status or the body is wrong.
        """
        path, body = request.filled(session, value or session)
        headers = {**request.headers, **({"Content-Type": "application/json"} if body else {})}
        self._connection.request(request.method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if (
            response.status != request.status
            or len(content) < request.shortest
            or not request.right(content)
        ):
            raise WrongResponseError(
                f"{request.method} {path} returned {response.status} {content[:500]!r}"
            )
        return content

    def close(self) -> None:
        self._connection.close()


def filled(text: str, session: int, value: int) -> str:
    """Returns a text with its placeholders replaced."""
    return text.replace(SESSION, str(session)).replace(VALUE, str(value))


def basic(user: str, password: str) -> str:
    """Returns the value of an Authorization header for HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def has_members(names: set[str]) -> Callable[[bytes], bool]:
    """Returns a check that a body is a JSON object with exactly these members."""
    return lambda body: set(json.loads(body)) == names
