"""Turns HTTP responses into bytes or errors of the SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from ccs_sdk import _json, _wire, errors
from ccs_sdk._call import REQUEST_ID, RawResponse
from ccs_sdk._json import Value
from ccs_sdk._reading import Response, not_from_the_service
from ccs_sdk._retry import parse_retry_after
from ccs_sdk.errors import (
    BadAnswerError,
    CCSError,
    NotFoundError,
    PropertyNotFoundError,
    ServerError,
    StatusError,
)

_BY_STATUS: Final[dict[int, type[StatusError]]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    409: errors.ConflictError,
    410: errors.GoneError,
    412: errors.PreconditionFailedError,
    413: errors.TooLargeError,
    415: errors.UnsupportedMediaTypeError,
    422: errors.KeyReusedError,
    423: errors.LeasedError,
    429: errors.TooManyRequestsError,
    503: errors.ServiceUnavailableError,
}

_CONDITIONS: Final = frozenset({"current", "etag"})
"""What a 412 tells of: the property or the document that a condition is about, or else a fence."""


def read_response(
    raw: RawResponse, request_id: str, sent: bytes | None, *, decimals: bool
) -> Response | CCSError:
    """Returns a successful response, or the error that the response means.

    Args:
        raw: The response.
        request_id: The id that the request was sent with.
        sent: The body of the request.
        decimals: Whether numbers of an error's body are read with all digits.
    """
    request_id = raw.headers.get(REQUEST_ID, request_id)
    status = raw.status
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Response(status, raw.content, request_id)
    if status < HTTPStatus.BAD_REQUEST:
        return BadAnswerError(
            "The server redirects to another address; correct base_url.",
            status=status,
            request_id=request_id,
        )
    body = _body(raw, decimals=decimals)
    error = status_error(
        status,
        _message(status, body, sent),
        body,
        request_id=request_id,
        retry_after=parse_retry_after(raw.headers.get("Retry-After"), _sent_at(raw)),
        etag=raw.headers.get("ETag"),
    )
    return error or not_from_the_service(Response(status, raw.content, request_id))


def status_error(  # noqa: PLR0913 - what an error tells
    status: int,
    message: str,
    body: Value,
    *,
    request_id: str,
    retry_after: float | None = None,
    etag: str | None = None,
) -> StatusError | None:
    """Returns the error for a status of 400 or more, or None if its details break the contract.

    Args:
        status: The status, of a response or of an operation of a batch.
        message: The error's message.
        body: The body of the response, or the result of the operation.
        request_id: The id of the request.
        retry_after: Seconds to wait.
        etag: The entity tag of the document that a condition is about.
    """
    fallback = ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else StatusError
    kind = _BY_STATUS.get(status, fallback)
    details: dict[str, Value] = dict(_members(body)) if "message" in _members(body) else {}
    if etag is not None:
        details.setdefault("etag", etag)
    if kind is errors.PreconditionFailedError and details and not details.keys() & _CONDITIONS:
        kind = errors.LeaseLostError
    error = kind(message, status=status, body=body, request_id=request_id, retry_after=retry_after)
    try:
        _add_details(error, details)
    except _wire.MALFORMED:
        return None
    return error


def property_not_found(body: Value = None, request_id: str | None = None) -> PropertyNotFoundError:
    """Returns the error for a property that the service did not find."""
    return PropertyNotFoundError(
        "There is no such property; it was never saved, was deleted or has expired.",
        body=body,
        request_id=request_id,
    )


def absent_or_elsewhere(error: NotFoundError) -> NotFoundError:
    """Returns a PropertyNotFoundError if the 404 is the service's, and `error` if it is a proxy's."""
    if not is_envelope(error.body):
        return error
    return PropertyNotFoundError(
        error.message, body=error.body, request_id=error.request_id, retry_after=error.retry_after
    )


def _add_details(error: StatusError, details: Mapping[str, Value]) -> None:
    error.op = _wire.optional(details, "op", _wire.integer)
    error.line = _wire.optional(details, "line", _wire.integer)
    if isinstance(error, errors.PreconditionFailedError):
        error.current = _wire.optional(details, "current", _wire.property_)
        error.etag = _wire.optional(details, "etag", _wire.text)
    elif isinstance(error, errors.LeasedError):
        error.lease = _wire.optional(details, "lease", _wire.lease_holder)


def _body(raw: RawResponse, *, decimals: bool) -> Value:
    try:
        return _json.decode(raw.content, decimals=decimals)
    except _json.UNREADABLE:
        return _text(raw)


def _text(raw: RawResponse) -> str:
    """Decodes a body that is not JSON, for example a proxy's page, as its Content-Type says."""
    head = Message()
    head["Content-Type"] = raw.headers.get("Content-Type", "text/plain")
    try:
        return raw.content.decode(head.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # no such charset
        return raw.content.decode(errors="replace")


def is_envelope(body: Value) -> bool:
    """Whether `body` is an error of the service, and not of a proxy in between."""
    return {"code", "message"} <= _members(body).keys()


def _message(status: int, body: Value, sent: bytes | None) -> str:
    message: object = body.get("message") if is_envelope(body) else None
    if not isinstance(message, str):
        return f"The server returned {status}."
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and sent is not None:
        # Only the service knows the size of the document.
        return f"{message}; the body of this request has {len(sent):,} bytes"
    return message


def _sent_at(raw: RawResponse) -> datetime:
    """When the server sent the response, by its own clock if it has a `Date` header, else by ours."""
    try:
        date = parsedate_to_datetime(raw.headers.get("Date", ""))
    except ValueError:
        return datetime.now(UTC)
    return date.replace(tzinfo=date.tzinfo or UTC)


def _members(body: Value) -> Mapping[str, Value]:
    """Returns the members of `body` if it is an object, else none."""
    try:
        return _wire.properties(body)
    except TypeError:
        return {}
