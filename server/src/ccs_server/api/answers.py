"""Answers of bytes that are JSON already, or of nothing."""

from flask import Response
from msgspec.json import decode


def json_answer(body: bytes, status: int = 200) -> Response:
    """JSON as the database or msgspec made it."""
    return Response(body, status, mimetype="application/json")


def no_content() -> Response:
    """What every v1 write answers: the vendor's own client accepts nothing else."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def text_answer(value: bytes) -> Response:
    """A JSON string, bare."""
    return Response(decode(value, type=str), mimetype="text/plain")
