"""Requests to a stack, and operations made of them."""

import base64
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Placeholders in a path, a header or a body that the load generator replaces. Session ids and values are numbers
# of eight digits, so that the length of a body is known beforehand.
SESSION = "{session}"
VALUE = "{value}"
# The ETag of the response before, in a header. Only the load generator in Python replaces it.
ETAG = "{etag}"
FIRST_SESSION = 10_000_001


class WrongResponseError(Exception):
    """A stack returned a wrong response, so its figures would be meaningless."""


class ConflictError(Exception):
    """A stack has asked for a retry, because another client wrote at the same time."""


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

    def filled(
        self, session: int, value: int, etag: str
    ) -> tuple[str, bytes | None, Mapping[str, str]]:
        """Returns the path, the body and the headers for one session."""
        body = None if self.body is None else filled(self.body, session, value).encode()
        headers = {
            name: filled(text, session, value).replace(ETAG, etag)
            for name, text in self.headers.items()
        }
        return filled(self.path, session, value), body, headers

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
    shown_by: tuple[Request, ...] = ()
    """Requests that show that the operation has had its effect. They are sent after its check, not under load."""

    @classmethod
    def of(
        cls,
        *requests: Request,
        new_sessions: bool = False,
        writes: Mapping[str, object] | None = None,
        conflict: int = 0,
        shown_by: tuple[Request, ...] = (),
    ) -> "Operation":
        return cls(requests, new_sessions, writes, conflict, shown_by)

    @property
    def uses_etags(self) -> bool:
        """Whether a request needs the ETag of the response before."""
        return any(ETAG in text for request in self.requests for text in request.headers.values())


class Client:
    """A persistent connection to a stack."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._etag = ""

    def send(
        self, request: Request, session: int = FIRST_SESSION, value: int = 0, *, conflict: int = 0
    ) -> bytes:
        """Sends a request and returns the body of the response.

        Raises:
            ConflictError: The status is `conflict`.
            WrongResponseError: The status or the body is wrong.
        """
        path, body, headers = request.filled(session, value or session, self._etag)
        if body:
            headers = {"Content-Type": "application/json", **headers}
        self._connection.request(request.method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        self._etag = response.getheader("ETag", "")
        if response.status == conflict:
            raise ConflictError
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
