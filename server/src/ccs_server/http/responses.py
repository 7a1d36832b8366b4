"""Responses whose body is complete: JSON as the database or msgspec made it, text, or nothing."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response
from msgspec.json import decode
from werkzeug.datastructures import Headers

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class CompleteResponse(Response):
    """A response that is sent as it was made: werkzeug would look once more at each part of it."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Sends status, headers and body."""
        start_response(self.status, self.headers.to_wsgi_list())
        # Those who add headers afterwards leave the body alone.
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()


def _complete(body: bytes, status: int, content_type: str) -> CompleteResponse:
    headers = Headers([("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return CompleteResponse([body], status, headers)


def json_response(body: bytes, status: int = 200) -> CompleteResponse:
    """A response of JSON."""
    return _complete(body, status, _JSON)


def text_response(value: bytes) -> CompleteResponse:
    """A JSON string as plain text."""
    return _complete(decode(value, type=str).encode(), 200, _TEXT)


class _NoContent(CompleteResponse):
    default_mimetype = None


def no_content() -> CompleteResponse:
    """The response 204, without a body."""
    return _NoContent(status=204)
