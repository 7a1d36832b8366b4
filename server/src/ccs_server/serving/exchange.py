"""A request as the HTTP server hands it over, and the way back for its response.

The request's head is checked here for what HTTP and WSGI leave open, since proxies and servers that read the same bytes
differently are how requests are smuggled past the former.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIEnvironment

from ccs_server.http.streaming import STREAMING

Headers = list[tuple[str, str]]

RawHeaders = list[tuple[bytes, bytes]]

# RFC 3875, section 4.1.18: these two have names of their own.
_VARIABLES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}

# Names of headers whose variables are remembered: a few kilobytes.
_MOST_VARIABLES = 256
_LONGEST_NAME = 64

# A request line has two spaces and a version, a header a colon and a space; each ends with CR LF.
_LINE_BYTES = len(" HTTP/1.1\r\n") + 1
_HEADER_BYTES = len(": \r\n")


# What is the same for every request.
_CONSTANTS: WSGIEnvironment = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    STREAMING: True,
}


class BodyFuture(Protocol):
    """A message of a request's body that may not have come yet."""

    def done(self) -> bool:
        """Whether it has come, or was cancelled."""

    def result(self) -> dict[str, Any]:
        """The message, of ASGI's type `http.request` or `http.disconnect`.

        Raises:
            asyncio.CancelledError: it was cancelled.
        """

    def add_done_callback(self, callback: Callable[["BodyFuture"], None]) -> None:
        """Has `callback` called when it has come, in whichever thread brings it; at once if it has."""

    def cancel(self) -> bool:
        """Stops waiting for it."""


class Channel(Protocol):
    """The HTTP server's end of a request, in ASGI's messages; any thread may use it."""

    def receive(self) -> BodyFuture:
        """Asks for the next part of the body."""

    def send(self, message: dict[str, Any]) -> object:
        """Sends a part of the response."""


@dataclass(slots=True)
class Refusal:
    """Why a request's head is refused: a status, and one sentence that says what to change."""

    status: HTTPStatus
    message: str


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and the way back for its response.

    Attributes:
        account: the queue that it waits in.
        is_listing: see `admission.Request`.
    """

    environ: WSGIEnvironment
    channel: Channel
    account: str = ""
    is_listing: bool = False

    def begin(self, status: int, headers: Headers) -> None:
        """Sends the head of the response."""
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        self.channel.send({"type": "http.response.start", "status": status, "headers": raw})

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends the response, as a whole."""
        self.begin(status, headers)
        self.channel.send({"type": "http.response.body", "body": body})

    @property
    def has_body(self) -> bool:
        """Whether the request announces a body."""
        environ = self.environ
        return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ

    @property
    def body_length(self) -> int | None:
        """The length of the body in bytes; None if it comes in chunks."""
        if "HTTP_TRANSFER_ENCODING" in self.environ:
            return None
        return int(self.environ.get("CONTENT_LENGTH", "0"))


def environ_of(scope: dict[str, Any], limit: int) -> tuple[WSGIEnvironment, Refusal | None]:
    """The WSGI environment of an ASGI scope, without `wsgi.input`; and why the head is refused, or None if it is not.

    A header whose name has an underscore is left out: in this environment it would be taken for the one with a hyphen,
    which a proxy in front may have checked or set (nginx and Apache leave it out too).

    Args:
        scope: the head, as ASGI has it.
        limit: bytes that the head may have, request line and headers.
    """
    method: str = scope["method"]
    raw_path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    server, port = scope["server"]
    is_http_1_0 = scope["http_version"] == "1"
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    environ = _CONSTANTS.copy()
    environ["REQUEST_METHOD"] = method
    environ["PATH_INFO"] = path.decode("latin-1")
    environ["QUERY_STRING"] = query.decode("latin-1")
    environ["SERVER_PROTOCOL"] = "HTTP/1.0" if is_http_1_0 else "HTTP/1.1"
    environ["SERVER_NAME"] = server
    environ["SERVER_PORT"] = port
    environ["REMOTE_ADDR"] = scope["client"][0]
    environ["wsgi.url_scheme"] = scope["scheme"]
    headers: RawHeaders = scope["headers"]
    size = _LINE_BYTES + len(method) + len(raw_path) + len(query) + bool(query)
    for name, value in headers:
        size += len(name) + len(value) + _HEADER_BYTES
        variable = _VARIABLES.get(name) or _variable(name)
        if variable in environ:
            environ[variable] += "," + value.decode("latin-1")
        elif variable:
            environ[variable] = value.decode("latin-1")
    if size > limit:
        return environ, Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The request line and headers are over {limit} bytes; send fewer or shorter ones.",
        )
    # RFC 9112, section 3.2. The server puts an empty Host where there is none; of several, one has a comma now.
    host = environ.get("HTTP_HOST", "")
    if (not host or "," in host) and not is_http_1_0:
        return environ, Refusal(HTTPStatus.BAD_REQUEST, "Send the header Host, once.")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None and coding.strip().lower() != "chunked":
        return environ, Refusal(
            HTTPStatus.BAD_REQUEST,
            "Send the body as it is, or with Transfer-Encoding: chunked and no other.",
        )
    return environ, None


def _variable(name: bytes) -> str:
    """The name of a header's variable in the environment; empty if the header is left out."""
    if b"_" in name:
        return ""
    variable = "HTTP_" + name.decode("ascii").replace("-", "_").upper()
    # Clients choose the names, so there is no end to them.
    if len(_VARIABLES) < _MOST_VARIABLES and len(name) <= _LONGEST_NAME:
        _VARIABLES[name] = variable
    return variable


def joined(chunks: Iterable[bytes]) -> bytes:
    """A WSGI application's response body, whole; its iterable is closed as WSGI asks."""
    try:
        return b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()
