"""Many operations as one request: how it is written, and how its response is read."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

from ccs_sdk import _wire
from ccs_sdk._auth import Credential
from ccs_sdk._call import Call
from ccs_sdk._json import Value
from ccs_sdk._ops import Op
from ccs_sdk._reading import Response, not_from_the_service, read
from ccs_sdk._responses import property_not_found, status_error
from ccs_sdk.errors import StatusError

T = TypeVar("T")


def request(path: str, credential: Credential, ops: Sequence[Op[Any]], *, atomic: bool) -> Call:
    """Returns the request that performs the operations.

    An atomic request that writes has a key, so a retry does not perform it twice. One that is not
    atomic cannot have a key, so it is retried only if performing it twice does no harm.
    """
    body = b'{"atomic":%s,"ops":[%s]}' % (
        b"true" if atomic else b"false",
        b",".join([op.body for op in ops]),
    )
    return Call(
        "POST",
        path,
        credential,
        body,
        idempotency_key=str(uuid4()) if atomic and any(op.keyed for op in ops) else None,
        repeatable=atomic or all(op.repeatable for op in ops),
    )


def outcomes(
    response: Response, ops: Sequence[Op[Any]], *, decimals: bool
) -> list[tuple[Any, StatusError | None]]:
    """Returns the result or the error of each operation."""
    plain = read(response, _results(ops), decimals=decimals)
    digits = any(op.exact for op in ops) and not decimals
    exact = read(response, _results(ops), decimals=True) if digits else plain
    return [
        _outcome(op, exact[index] if op.exact else plain[index], response)
        for index, op in enumerate(ops)
    ]


def _results(ops: Sequence[Op[Any]]) -> Callable[[Value], list[dict[str, Value]]]:
    def convert(value: Value) -> list[dict[str, Value]]:
        results = _wire.list_of(_wire.properties)(_wire.properties(value)["results"])
        if len(results) != len(ops):
            raise ValueError("one result for each operation expected")
        return results

    return convert


def _outcome(
    op: Op[T], result: Mapping[str, Value], response: Response
) -> tuple[T | Any, StatusError | None]:
    """Returns the result of an operation, or its error."""
    try:
        status = _wire.integer(result["status"])
        if status == HTTPStatus.OK:
            return op.convert(result), None
        if op.absent(status):
            return op.default, None
        error = _error(status, result, response)
    except _wire.MALFORMED:
        error = None
    if error is None:
        raise not_from_the_service(response)
    return None, error


def _error(status: int, result: Mapping[str, Value], response: Response) -> StatusError | None:
    if status < HTTPStatus.BAD_REQUEST:
        return None
    if status == HTTPStatus.NOT_FOUND:
        return property_not_found(body=result, request_id=response.request_id)
    return status_error(
        status, _wire.text(result["message"]), result, request_id=response.request_id
    )
