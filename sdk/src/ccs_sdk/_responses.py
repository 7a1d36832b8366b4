"""Turns HTTP responses and exceptions of `requests` into bytes or errors of the SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import requests
from urllib3.exceptions import ReadTimeoutError

from ccs_sdk import _json, _wire, errors
from ccs_sdk._json import Value
from ccs_sdk._reading import Response, not_from_the_service
from ccs_sdk._retry import parse_retry_after
from ccs_sdk.errors import (
    BadAnswerError,
    CCSError,
    ConnectionFailedError,
    PropertyNotFoundError,
    ServerError,
    StatusError,
    TimedOutError,
    TransportError,
)

_BY_STATUS: Final[dict[int, type[StatusError]]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: errors.MethodNotAllowedError,
    409: errors.ConflictError,
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
    response: requests.Response, request_id: str, *, decimals: bool
) -> Response | CCSError:
    """Returns a successful response, or the error that the response means."""
    request_id = response.headers.get("X-Request-ID", request_id)
    if getattr(response.raw, "length_remaining", None):  # urllib3 1.26 does not check it
        return ConnectionFailedError("The response was cut off.", request_id=request_id)
    status = response.status_code
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Response(status, response.content, request_id)
    if status < HTTPStatus.BAD_REQUEST:
        return BadAnswerError(
            "The server redirects to another address; correct base_url.",
            status=status,
            request_id=request_id,
        )
    body = _body(response, decimals=decimals)
    error = status_error(
        status,
        _message(body, response),
        body,
        request_id=request_id,
        retry_after=parse_retry_after(response.headers.get("Retry-After"), _sent_at(response)),
        etag=response.headers.get("ETag"),
    )
    return error or not_from_the_service(Response(status, response.content, request_id))


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


def _add_details(error: StatusError, details: Mapping[str, Value]) -> None:
    error.op = _wire.optional(details, "op", _wire.integer)
    if isinstance(error, errors.PreconditionFailedError):
        error.current = _wire.optional(details, "current", _wire.property_)
        error.etag = _wire.optional(details, "etag", _wire.text)
    elif isinstance(error, errors.LeasedError):
        error.lease = _wire.optional(details, "lease", _wire.lease_holder)


def _body(response: requests.Response, *, decimals: bool) -> Value:
    try:
        return _json.decode(response.content, decimals=decimals)
    except _json.UNREADABLE:
        return response.text


def is_envelope(body: Value) -> bool:
    """Whether `body` is an error of the service, and not of a proxy in between."""
    return {"code", "message"} <= _members(body).keys()


def _message(body: Value, response: requests.Response) -> str:
    status = response.status_code
    message: object = body.get("message") if is_envelope(body) else None
    if not isinstance(message, str):
        return f"The server returned {status}."
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return message + _size(response.request.body)
    return message


def _size(body: object) -> str:
    """The size of the refused body. Only the service knows the size of the document."""
    return f"; the body of this request has {len(body):,} bytes" if isinstance(body, bytes) else ""


def _sent_at(response: requests.Response) -> datetime:
    """When the server sent the response, by its own clock if it has a `Date` header, else by ours."""
    try:
        date = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return datetime.now(UTC)
    return date.replace(tzinfo=date.tzinfo or UTC)


def transport_error(error: Exception, request_id: str) -> TransportError:
    """Returns the SDK's error for an exception of `requests` or urllib3.

    It does not refer to the exception, which contains the request and its headers.
    """
    root = _root(error)
    if isinstance(error, requests.Timeout) or isinstance(root, ReadTimeoutError):
        return TimedOutError(
            "The service did not respond within the timeout.", request_id=request_id
        )
    # A message of `requests` may quote a header; exceptions of lower layers only mention sockets.
    details = "" if isinstance(root, requests.RequestException) else f": {root}"
    return ConnectionFailedError(
        f"The connection failed: {type(root).__name__}{details}", request_id=request_id
    )


def _root(error: BaseException) -> BaseException:
    """Returns the innermost exception; urllib3 and `requests` pass wrapped ones as arguments."""
    reasons = [getattr(error, "reason", None), *error.args]
    inner = next((reason for reason in reasons if isinstance(reason, BaseException)), None)
    return error if inner is None else _root(inner)


def _members(body: Value) -> Mapping[str, Value]:
    """Returns the members of `body` if it is an object, else none."""
    try:
        return _wire.properties(body)
    except TypeError:
        return {}
