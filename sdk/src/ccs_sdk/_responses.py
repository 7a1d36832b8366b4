"""Turns HTTP responses and exceptions of `requests` into bytes or errors of the SDK."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import requests
from urllib3.exceptions import ReadTimeoutError

from ccs_sdk import _json, errors
from ccs_sdk._json import Value
from ccs_sdk._reading import Response
from ccs_sdk._retry import parse_retry_after
from ccs_sdk.errors import (
    BadAnswerError,
    CCSError,
    ConnectionFailedError,
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
    413: errors.TooLargeError,
    415: errors.UnsupportedMediaTypeError,
    429: errors.TooManyRequestsError,
    503: errors.ServiceUnavailableError,
}


def read_response(response: requests.Response, request_id: str) -> Response | CCSError:
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
    fallback = ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else StatusError
    body = _body(response)
    return _BY_STATUS.get(status, fallback)(
        _message(body, response),
        status=status,
        body=body,
        request_id=request_id,
        retry_after=parse_retry_after(response.headers.get("Retry-After"), _sent_at(response)),
    )


def _body(response: requests.Response) -> Value:
    try:
        return _json.decode(response.content, decimals=False)
    except _json.UNREADABLE:
        return response.text


def is_envelope(body: Value) -> bool:
    """Whether `body` is an error of the service, and not of a proxy in between."""
    return isinstance(body, dict) and "code" in body and "message" in body


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
