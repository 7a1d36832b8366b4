"""Requests to the extension of the service for one account, and the checks of their responses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

from ccs_sdk import _bundles, _json
from ccs_sdk._auth import Credential
from ccs_sdk._call import Call
from ccs_sdk._deadline import Deadline
from ccs_sdk._event_stream import CONTENT_TYPE
from ccs_sdk._json import JSON, Value
from ccs_sdk._ops import Op
from ccs_sdk._reading import Response, not_from_the_service, read
from ccs_sdk.aio._http import AsyncParts
from ccs_sdk.aio._transport import AsyncTransport
from ccs_sdk.errors import StatusError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class AsyncExtension:
    """Requests under the path of one account, with its key or a session token."""

    transport: AsyncTransport
    path: str
    credential: Credential

    async def get(self, path: str, convert: Callable[[Value], T]) -> T:
        """Sends a GET and returns its JSON, converted with `convert`."""
        response = await self._send(Call("GET", self.path + path, self.credential))
        return read(response, convert, decimals=self._decimals)

    async def post(
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
        return read(await self._send(call), convert, decimals=self._decimals)

    async def patch(self, path: str, body: Mapping[str, JSON], convert: Callable[[Value], T]) -> T:
        """Sends a PATCH, which may be repeated, and returns its JSON, converted with `convert`."""
        call = Call("PATCH", self.path + path, self.credential, _json.encode(body))
        return read(await self._send(call), convert, decimals=self._decimals)

    async def open(self, path: str) -> AsyncParts | None:
        """Sends a GET for an event stream once, and returns what comes. None if the response is no such stream."""
        return await self.transport.open(
            Call("GET", self.path + path, self.credential, accept=CONTENT_TYPE)
        )

    def event(self, data: bytes, convert: Callable[[Value], T]) -> T:
        """Returns the JSON of an event, converted with `convert`."""
        return read(Response(HTTPStatus.OK, data, ""), convert, decimals=self._decimals)

    async def fetch(self, path: str) -> bytes:
        """Sends a GET and returns the body of the response as it is."""
        response = await self._send(Call("GET", self.path + path, self.credential))
        return response.content

    async def send_lines(self, path: str, lines: bytes, convert: Callable[[Value], T]) -> T:
        """Sends lines of JSON by POST and returns the JSON of the response, converted with `convert`."""
        call = Call(
            "POST", self.path + path, self.credential, lines, content_type="application/x-ndjson"
        )
        return read(await self._send(call), convert, decimals=self._decimals)

    async def delete(self, path: str) -> None:
        """Sends a DELETE, which succeeds only with status 204."""
        response = await self._send(Call("DELETE", self.path + path, self.credential))
        if response.status != HTTPStatus.NO_CONTENT:
            raise not_from_the_service(response)

    async def run(self, op: Op[T], deadline: Deadline | None = None) -> T:
        """Performs one operation and returns its result, or raises its error."""
        result: T
        try:
            ((result, error),) = await self.run_all([op], atomic=True, deadline=deadline)
        except StatusError as failure:
            failure.op = None  # the caller knows of no batch
            raise
        if error is not None:
            raise error
        return result

    async def run_all(
        self, ops: Sequence[Op[Any]], *, atomic: bool, deadline: Deadline | None = None
    ) -> list[tuple[Any, StatusError | None]]:
        """Performs operations in one request. Returns the result or the error of each.

        Raises:
            CCSError: The request failed as a whole.
        """
        call = _bundles.request(f"{self.path}/ops", self.credential, ops, atomic=atomic)
        response = await self._send(call, deadline)
        return _bundles.outcomes(response, ops, decimals=self._decimals)

    @property
    def _decimals(self) -> bool:
        return self.transport.options.decimals

    async def _send(self, call: Call, deadline: Deadline | None = None) -> Response:
        return await self.transport.call(call, deadline or self.transport.deadline())
