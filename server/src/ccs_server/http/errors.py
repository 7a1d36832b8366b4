"""The one place where errors become responses (contract, section 5), also for code outside of Flask."""

import logging
from http import HTTPStatus
from wsgiref.types import WSGIEnvironment

import flask_smorest
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from marshmallow import Schema, fields
from msgspec import json
from werkzeug.exceptions import HTTPException

from ccs_server.domain.errors import (
    Conflict,
    ContextError,
    Forbidden,
    Gone,
    InvalidInput,
    KeyReused,
    Leased,
    LimitReached,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from ccs_server.http.body import JSON, discard_body
from ccs_server.http.headers import Headers, data_headers, rate_headers

log = logging.getLogger(__name__)

_STATUS: dict[type[ContextError], HTTPStatus] = {
    InvalidInput: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Gone: HTTPStatus.GONE,
    LimitReached: HTTPStatus.CONFLICT,
    Conflict: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    Leased: HTTPStatus.LOCKED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What to change, where the routing or the parsing of a request refuses it.
_SENTENCES = {
    HTTPStatus.BAD_REQUEST: "The request cannot be understood; send valid HTTP.",
    HTTPStatus.NOT_FOUND: "There is nothing at this path; see /docs for those that exist.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path has no such method; use one of those in Allow.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The URL is too long; send what makes it so in a body.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large; send at most 1 MiB.",
}

FAILED = "The service failed on this request; tell its operator the X-Request-ID of this response."


def plain_response(
    environ: WSGIEnvironment, status: HTTPStatus, message: str
) -> tuple[int, Headers, bytes]:
    """The whole response of an error that is found outside of Flask: status, headers, body.

    Args:
        environ: the request's.
        status: 503 says when to try again, as `Unavailable` does by default.
        message: one sentence that says what to change.
    """
    body = _envelope(status, message)
    headers = [
        ("Content-Type", JSON),
        ("Content-Length", str(len(body))),
        *data_headers(environ),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", str(Unavailable(message).retry_after)))
    return int(status), headers, body


def _envelope(status: int, message: str, **members: object) -> bytes:
    return json.encode(
        {"code": int(status), "status": HTTPStatus(status).phrase, "message": message, **members}
    )


def error_members(error: ContextError) -> dict[str, object]:
    """The JSON body of an error's response, as an object."""
    status = _STATUS[type(error)]
    members = dict(error.members)
    if isinstance(error, InvalidInput):
        members["errors"] = {error.field: [error.message]}
    return {"code": int(status), "status": status.phrase, "message": error.message, **members}


def _response(status: int, body: bytes, **headers: str) -> Response:
    response = Response(body, status, content_type=JSON)
    if not discard_body(request.environ):
        response.headers["Connection"] = "close"
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def _respond_to_context_error(error: ContextError) -> Response:
    headers: dict[str, str] = {}
    match error:
        case Unauthenticated(scheme=str(scheme)):
            headers["WWW_Authenticate"] = scheme
        case PreconditionFailed(members={"etag": str(etag)}):
            headers["ETag"] = etag
        case TooManyRequests(standing=standing):
            headers |= dict(rate_headers(standing))
    retry_after: int | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry_After"] = str(retry_after)
    return _response(_STATUS[type(error)], json.encode(error_members(error)), **headers)


def _respond_to_unexpected(error: Exception) -> Response:
    log.error("unexpected error in %s", request.endpoint, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _response(status, _envelope(status, FAILED))


class ErrorSchema(Schema):
    """The envelope of every error."""

    code = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    status = fields.String(required=True, metadata={"description": "Its reason phrase."})
    message = fields.String(
        required=True, metadata={"description": "One sentence that says what to change."}
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "For validation: the sentences by field."},
    )
    op = fields.Integer(metadata={"description": "For a batch: the index of the operation."})
    line = fields.Integer(
        metadata={"description": "For an import: the number of the line, from 1."}
    )
    current = fields.Dict(
        allow_none=True,
        metadata={
            "description": "For a condition of a property: what is there, `{value, etag, expiresAt, updatedAt}`."
        },
    )
    etag = fields.String(
        metadata={"description": "For a condition of a document: its entity tag now."}
    )
    lease = fields.Dict(
        allow_none=True,
        metadata={"description": "For a lease that is held: its holder, `{owner, expiresAt}`."},
    )


class Api(flask_smorest.Api):
    """flask-smorest's Api, with our envelope for the errors that it and werkzeug raise."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def handle_http_exception(self, error: HTTPException) -> ResponseReturnValue:
        """Responds to an HTTP error of routing, parsing or validation."""
        return respond_to_http_exception(error)


def respond_to_http_exception(error: HTTPException) -> ResponseReturnValue:
    """The response to an HTTP error of routing, parsing or validation."""
    code = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    if error.code is not None and error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    fields = _fields(getattr(error, "data", {}).get("messages", {}))
    first = next((sentence for sentences in fields.values() for sentence in sentences), None)
    message = first or _SENTENCES.get(code, code.description + ".")
    errors = {"errors": fields} if fields else {}
    response = _response(code, _envelope(code, message, **errors))
    response.headers.extend(
        (name, value)
        for name, value in error.get_headers(request.environ)
        if name.lower() not in {"content-type", "content-length"}
    )
    return response


def _fields(messages: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """A validation's sentences by field: webargs nests them under the place that they came from."""
    return {
        field: [f"{field}: {sentence}" for sentence in sentences]
        for fields in messages.values()
        for field, sentences in fields.items()
    }


def register_error_handlers(app: Flask) -> None:
    """Registers handlers that respond to every error that a view raises."""
    app.register_error_handler(ContextError, _respond_to_context_error)
    app.register_error_handler(Exception, _respond_to_unexpected)
