# Generated from aio/_v1.py by sdk/generate.py. Edit that file.
"""Requests to version 1 of the service for one account, and the checks of their responses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._auth import Credential
from ccs_sdk._call import Call
from ccs_sdk._ext import Extension
from ccs_sdk._json import JSON, Value
from ccs_sdk._pages import Pages
from ccs_sdk._reading import Response, not_from_the_service, read
from ccs_sdk._transport import Transport
from ccs_sdk._ttl import whole_seconds
from ccs_sdk.models import Namespace, SessionTTL

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Reads and writes under the path of one account, with its key."""

    transport: Transport
    path: str
    credential: Credential
    extension: Extension

    @classmethod
    def of(cls, transport: Transport, account_id: str, credential: Credential) -> "Account":
        """Returns the account with its extension."""
        account = _paths.segment(account_id)
        extension = Extension(transport, f"/ext/v1/{account}", credential)
        return cls(transport, f"/v1/account/{account}", credential, extension)

    def with_options(self, changes: Mapping[str, Any]) -> "Account":
        """Returns the account with other options and the same connections."""
        transport = self.transport.with_options(changes)
        extension = replace(self.extension, transport=transport)
        return replace(self, transport=transport, extension=extension)

    def encode(self, value: JSON, *, wrapping: int = 0) -> bytes:
        """Encodes a value, or an object with values, by the client's `default`."""
        return _json.encode(value, wrapping=wrapping, default=self.transport.options.default)

    def read(self, path: str, convert: Callable[[Value], T]) -> T:
        """Sends a GET and returns its JSON, converted with `convert`."""
        return read(
            self._call("GET", path, None), convert, decimals=self.transport.options.decimals
        )

    def write(self, method: str, path: str, body: bytes | None = None) -> None:
        """Sends a write, which succeeds only with status 204 (contract, section 3)."""
        response = self._call(method, path, body)
        if response.status != HTTPStatus.NO_CONTENT:
            raise not_from_the_service(response)

    def pages(
        self,
        path: str,
        read_item: Callable[[Value], T],
        page_size: int,
        session_id: Callable[[T], str],
        begin: str | None,
    ) -> Pages[T]:
        """Returns a listing, of what follows the id `begin`. `session_id` returns the id of an item."""

        def fetch(page: int, size: int, after: str | None) -> list[T]:
            query = _paths.query(page=page, perPage=size, after=after)
            return self.read(path + query, _wire.list_of(read_item))

        return Pages(fetch, page_size, session_id, self.path + path, begin)

    def list_namespaces(self) -> list[Namespace]:
        """Returns the namespaces of the account."""
        return self.read("", _wire.list_of(_wire.namespace))

    def list_session_ttls(self, namespace: str) -> list[SessionTTL]:
        """Returns the sessions of the namespace that have a TTL."""
        return self.read(_paths.session_ttls(namespace), _wire.list_of(_wire.session_ttl))

    def set_session_ttl(self, namespace: str, session_id: str, ttl: timedelta | int | None) -> None:
        """Sets a session's TTL. None keeps the current one."""
        query = _paths.query(ttlSecond=None if ttl is None else whole_seconds(ttl))
        body = _json.encode({"sessionId": session_id})
        self.write("POST", _paths.session_ttls(namespace) + query, body)

    def _call(self, method: str, path: str, body: bytes | None) -> Response:
        deadline = self.transport.deadline()
        return self.transport.call(Call(method, self.path + path, self.credential, body), deadline)
