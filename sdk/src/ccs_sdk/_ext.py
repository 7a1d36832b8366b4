"""Requests to the extension of the service for one account, and the checks of their responses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

from ccs_sdk import _json, _wire
from ccs_sdk._auth import Credential
from ccs_sdk._call import Call
from ccs_sdk._deadline import Deadline
from ccs_sdk._json import JSON, Value
from ccs_sdk._ops import Op
from ccs_sdk._reading import Response, not_from_the_service, read
from ccs_sdk._responses import property_not_found, status_error
from ccs_sdk._transport import Transport
from ccs_sdk.errors import StatusError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Extension:
    """Requests under the path of one account, with its key or a session token."""

    transport: Transport
    path: str
    credential: Credential

    def get(self, path: str, convert: Callable[[Value], T]) -> T:
        """Sends a GET and returns its JSON, converted with `convert`."""
        response = self._send(Call("GET", self.path + path, self.credential))
        return read(response, convert, decimals=self._decimals)

    def post(
        self, path: str, body: Mapping[str, JSON], convert: Callable[[Value], T], *, keyed: bool
    ) -> T:
        """Sends a POST and returns its JSON, converted with `convert`.

        Args:
            path: The path after that of the account.
            body: The body.
            convert: Converts the JSON of the response.
            keyed: Whether to send an idempotency key, for a request that must not take effect twice.
        """
        key = str(uuid4()) if keyed else None
        call = Call("POST", self.path + path, self.credential, _json.encode(body), key)
        return read(self._send(call), convert, decimals=self._decimals)

    def delete(self, path: str) -> None:
        """Sends a DELETE, which succeeds only with status 204."""
        response = self._send(Call("DELETE", self.path + path, self.credential))
        if response.status != HTTPStatus.NO_CONTENT:
            raise not_from_the_service(response)

    def run(self, op: Op[T], deadline: Deadline | None = None) -> T:
        """Performs one operation and returns its result, or raises its error."""
        result: T
        try:
            ((result, error),) = self.run_all([op], atomic=True, deadline=deadline)
        except StatusError as failure:
            failure.op = None  # the caller knows of no batch
            raise
        if error is not None:
            raise error
        return result

    def run_all(
        self, ops: Sequence[Op[Any]], *, atomic: bool, deadline: Deadline | None = None
    ) -> list[tuple[Any, StatusError | None]]:
        """Performs operations in one request. Returns the result or the error of each.

        An atomic request that writes has a key, so a retry does not perform it twice. One that is not
        atomic cannot have a key, so it is retried only if performing it twice does no harm.

        Raises:
            CCSError: The request failed as a whole.
        """
        body = b'{"atomic":%s,"ops":[%s]}' % (
            b"true" if atomic else b"false",
            b",".join([op.body for op in ops]),
        )
        call = Call(
            "POST",
            f"{self.path}/ops",
            self.credential,
            body,
            idempotency_key=str(uuid4()) if atomic and any(op.keyed for op in ops) else None,
            repeatable=atomic or all(op.repeatable for op in ops),
        )
        response = self._send(call, deadline)
        plain = read(response, _results(ops), decimals=self._decimals)
        digits = any(op.exact for op in ops) and not self._decimals
        exact = read(response, _results(ops), decimals=True) if digits else plain
        return [
            _outcome(op, exact[index] if op.exact else plain[index], response)
            for index, op in enumerate(ops)
        ]

    @property
    def _decimals(self) -> bool:
        return self.transport.options.decimals

    def _send(self, call: Call, deadline: Deadline | None = None) -> Response:
        return self.transport.call(call, deadline or self.transport.deadline())


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
