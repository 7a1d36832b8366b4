"""Answers of bytes that are JSON already, or of nothing."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response
from msgspec.json import decode


class Answer(Response):
    """An answer that is complete as it is made, so that sending it needs none of werkzeug's finishing touches."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Sends status, headers and body as they are."""
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.data]


class _NoContent(Answer):
    default_mimetype = None


def json_answer(body: bytes, status: int = 200) -> Answer:
    """JSON as the database or msgspec made it."""
    return Answer(body, status, content_type="application/json")


def no_content() -> Answer:
    """What every v1 write answers: the vendor's own client accepts nothing else."""
    return _NoContent(status=204)


def text_answer(value: bytes) -> Answer:
    """A JSON string, bare."""
    return Answer(decode(value, type=str), mimetype="text/plain")
