"""Responses whose body is complete: JSON as the database or msgspec made it, text, or nothing."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response
from msgspec.json import decode

from ccs_server.http.body import JSON, NDJSON

_TEXT = "text/plain; charset=utf-8"

_STATUS_LINES = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}


class CompleteResponse(Response):
    """A response of a body, a status, a content type, and an entity tag if it has one.

    Most are sent without being looked at. Werkzeug's own initialization, which takes a fifth of the application's time
    for a request (docs/performance.md), waits for the first access to any other attribute.
    """

    default_mimetype = None

    def __init__(
        self,
        body: bytes | None,
        status: int,
        content_type: str | None,
        etag: str | None = None,
    ) -> None:
        self._parts = body, status, content_type, etag

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Initializes the response as werkzeug does, when an attribute is missing."""
        # A copy has no parts until they are copied.
        if "headers" in self.__dict__ or "_parts" not in self.__dict__:
            raise AttributeError(name)
        body, status, content_type, etag = self._parts
        super().__init__(body, status, content_type=content_type)
        if etag is not None:
            self.headers["ETag"] = etag
        return getattr(self, name)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Sends status, headers and body."""
        if "headers" in self.__dict__:
            return super().__call__(environ, start_response)
        body, status, content_type, etag = self._parts
        headers: list[tuple[str, str]] = []
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        if body is not None:
            headers.append(("Content-Length", str(len(body))))
        if etag is not None:
            headers.append(("ETag", etag))
        start_response(_STATUS_LINES[status], headers)
        return [] if body is None or environ["REQUEST_METHOD"] == "HEAD" else [body]


class EventStreamResponse(Response):
    """The head of an event stream (Server-Sent Events), whose events follow (`http/streaming.py`)."""

    automatically_set_content_length = False

    def __init__(self) -> None:
        # Nginx would otherwise collect events before it passes them on.
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(None, 200, headers, content_type="text/event-stream")


def json_response(body: bytes, status: int = 200, etag: str | None = None) -> CompleteResponse:
    """A response of JSON."""
    return CompleteResponse(body, status, JSON, etag)


def ndjson_response(body: bytes) -> CompleteResponse:
    """A response of JSON texts, one a line."""
    return CompleteResponse(body, 200, NDJSON)


def text_response(value: bytes) -> CompleteResponse:
    """A JSON string as plain text."""
    return CompleteResponse(decode(value, type=str).encode(), 200, _TEXT)


def no_content(etag: str | None = None) -> CompleteResponse:
    """The response 204, without a body."""
    return CompleteResponse(None, 204, None, etag)


def not_modified(etag: str) -> CompleteResponse:
    """The response 304 to a client that has this already."""
    return CompleteResponse(None, 304, None, etag)
