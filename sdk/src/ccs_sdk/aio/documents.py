"""`AsyncDocumentClient`: version 2 of the service, one method for each of its operations."""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import timedelta
from typing import Self, TypeVar

import httpx2

from ccs_sdk import _json, _paths, _wire
from ccs_sdk._auth import basic_auth, bearer_auth
from ccs_sdk._call import Call
from ccs_sdk._deadline import Deadline
from ccs_sdk._events import OnRequest, OnResponse
from ccs_sdk._json import JSON, Default, JSONObject, Value
from ccs_sdk._names import Names, check_namespace, check_properties, check_segment, check_session
from ccs_sdk._options import (
    DEFAULT_POOL_SIZE,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUT,
    UNCHANGED,
    Unchanged,
    call_options,
    changes,
    connecting,
    setting,
)
from ccs_sdk._process import PerProcess
from ccs_sdk._reading import Response, read
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk._ttl import whole_seconds
from ccs_sdk.aio._http import AsyncHTTP
from ccs_sdk.aio._tokens import AsyncTokenCache
from ccs_sdk.aio._transport import AsyncTransport
from ccs_sdk.errors import AuthenticationError, InvalidArgumentError
from ccs_sdk.models import Document, DocumentReceipt, Token

T = TypeVar("T")

_DOCUMENTS = "/v2/context/document"
_LOGIN = "/v2/authenticate/login"


class AsyncDocumentClient:
    """A client of version 2, with a user name and a password.

    Tasks may share it, as long as they run in one event loop, of asyncio or trio; create one client for
    each loop. Close it, or use it in an `async with` statement; later calls raise `ClientClosedError`. It
    cannot be pickled, because it holds the password.

    Version 2 treats the properties of one namespace and session as one document. It reads and
    writes the same store as version 1. The client logs in when it is first used, keeps the token,
    and renews it before it expires. If the service refuses the token early, the client logs in
    again once.

    If a method accepts `session_id`, omitting it means the namespace's own properties.

    A method raises `InvalidArgumentError`, before it sends anything, if an argument cannot be sent as
    the caller means it. It raises a `TransportError` if the service cannot be reached, and a
    `StatusError` if the service refuses the request: for example `BadRequestError` if a name is
    not allowed.

    Args:
        base_url: The URL of the service. The default is the environment variable `CCS_URL`.
        account_id: The account. The default is `CCS_ACCOUNT`.
        username: A user of the account. The default is `CCS_USERNAME`.
        password: The user's password. The default is `CCS_PASSWORD`.
        timeout: Seconds to wait. For this option and the following ones, see `AsyncContextClient`.
        retry: The retry policy; None disables retries.
        on_retry: Called before each retry.
        on_request: Called before each attempt.
        on_response: Called for each response.
        pool_size: How many connections are kept open.
        decimals: Whether to read numbers with a point or an exponent as `decimal.Decimal`.
        default: Called for each value that JSON does not know.
        user_agent: Added to the header `User-Agent`.
        verify: Whether certificates are verified, or the file of a CA bundle.
        cert: A client certificate.
        proxies: The proxy for each scheme.
        http_client: An `httpx2.AsyncClient` to send with.

    Raises:
        ConfigurationError: A setting is missing or invalid.
    """

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str | None = None,
        account_id: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        timeout: float | tuple[float, float] = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = DEFAULT_RETRY,
        on_retry: OnRetry | None = None,
        on_request: OnRequest | None = None,
        on_response: OnResponse | None = None,
        pool_size: int = DEFAULT_POOL_SIZE,
        decimals: bool = False,
        default: Default | None = None,
        user_agent: str | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._password = basic_auth(
            setting(username, "username", "CCS_USERNAME"),
            setting(password, "password", "CCS_PASSWORD"),
        )
        self._transport = AsyncTransport(
            AsyncHTTP(
                connecting(
                    setting(base_url, "base_url", "CCS_URL"),
                    pool_size=pool_size,
                    verify=verify,
                    cert=cert,
                    proxies=proxies,
                ),
                http_client,
            ),
            call_options(
                timeout=timeout,
                retry=retry,
                on_retry=on_retry,
                on_request=on_request,
                on_response=on_response,
                decimals=decimals,
                default=default,
                user_agent=user_agent,
            ),
        )
        self._account_id = check_segment(
            setting(account_id, "account_id", "CCS_ACCOUNT"), "account_id"
        )
        self._tokens = PerProcess(AsyncTokenCache)

    def __repr__(self) -> str:
        return f"AsyncDocumentClient({self._transport.base_url!r}, {self._account_id!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, except those of a given `http_client`."""
        await self._transport.close()

    def with_options(
        self,
        *,
        timeout: float | tuple[float, float] | Unchanged = UNCHANGED,
        retry: RetryPolicy | Unchanged | None = UNCHANGED,
    ) -> Self:
        """Returns a client with other options that shares the connections and the login of this one.

        Closing one of the two closes both.

        Args:
            timeout: The timeout; see `AsyncContextClient`.
            retry: The retry policy; None disables retries.
        """
        other = copy(self)
        other._transport = self._transport.with_options(changes(timeout, retry))  # noqa: SLF001 - of its own class
        return other

    async def login(self) -> Token:
        """Logs in now and returns the new token.

        Calling it is optional. It checks the credentials, for example when a program starts.

        Raises:
            AuthenticationError: The user or the password is wrong.
        """
        return await self._log_in(self._transport.deadline(), always=True)

    async def signing_keys(self) -> list[dict[str, Value]]:
        """Returns the public keys that verify the service's tokens, as JSON Web AsyncKeys."""
        call = Call("GET", "/.well-known/jwks.json", None)
        response = await self._transport.call(call, self._transport.deadline())
        return self._read(response, _wire.json_web_keys)

    async def save(
        self,
        namespace: str,
        payload: JSONObject,
        *,
        session_id: str | None = None,
        ttl: timedelta | int | None = None,
    ) -> DocumentReceipt:
        """Saves the properties in `payload` atomically. Other properties keep their values.

        Args:
            namespace: The namespace: letters, digits and `_`. Version 2 does not allow hyphens.
            payload: Values by name.
            session_id: The session.
            ttl: How long all properties of the document live from now on, as a timedelta or in whole
                seconds. If None or 0, the TTL in force applies. If that is forever, or the TTL is
                longer than the service's maximum retention, the maximum retention applies.
        """
        _json.check_object(payload)
        more: dict[str, JSON] = {"payload": payload}
        if ttl is not None:
            more["ttlSeconds"] = whole_seconds(ttl)
        return await self._receipt("POST", "/create", self._body(namespace, session_id, more))

    async def get(self, namespace: str, *, session_id: str | None = None) -> Document:
        """Returns the document with all its live properties.

        Raises:
            NotFoundError: It has no live properties.
        """
        place = [self._account_id, check_namespace(namespace)]
        if session_id is not None:
            place.append(check_session(session_id))
        path = "".join(f"/{_paths.segment(name)}" for name in place)
        return self._read(await self._call("GET", _DOCUMENTS + path), _wire.document)

    async def get_properties(
        self, namespace: str, names: Names, *, session_id: str | None = None
    ) -> dict[str, Value]:
        """Returns the properties in `names` that exist, as values by name."""
        filters = [f"{namespace}.{name}" for name in check_properties(names)]
        body = self._body(namespace, session_id, {"filter": filters})
        response = await self._call("POST", f"{_DOCUMENTS}/properties", body)
        found = self._read(response, _wire.properties)
        return {key.removeprefix(f"{namespace}."): value for key, value in found.items()}

    async def delete(self, namespace: str, *, session_id: str | None = None) -> DocumentReceipt:
        """Deletes the whole document, if it exists."""
        return await self._receipt("DELETE", "/delete", self._body(namespace, session_id, {}))

    async def delete_properties(
        self, namespace: str, names: Names, *, session_id: str | None = None
    ) -> DocumentReceipt:
        """Deletes the properties in `names` that exist. Any name is allowed.

        Raises:
            InvalidArgumentError: A name is invalid, or `names` is empty.
        """
        deleted = check_properties(names)
        if not deleted:
            raise InvalidArgumentError(
                "Name at least one property; delete() deletes the whole document."
            )
        body = self._body(namespace, session_id, {"propertyToDelete": deleted})
        return await self._receipt("DELETE", "/property/delete", body)

    def _body(self, namespace: str, session_id: str | None, more: Mapping[str, JSON]) -> bytes:
        body: dict[str, JSON] = {
            "accountId": self._account_id,
            "nameSpace": check_namespace(namespace),
            **more,
        }
        if session_id is not None:
            body["sessionId"] = check_session(session_id)
        return _json.encode(body, wrapping=2, default=self._transport.options.default)

    async def _receipt(self, method: str, path: str, body: bytes) -> DocumentReceipt:
        response = await self._call(method, _DOCUMENTS + path, body)
        return self._read(response, _wire.document_receipt)

    def _read(self, response: Response, convert: Callable[[Value], T]) -> T:
        return read(response, convert, decimals=self._transport.options.decimals)

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Response:
        """Sends a request with the token. If the token is refused early, repeats it with a new one."""
        deadline = self._transport.deadline()
        token = await self._token(deadline)
        try:
            return await self._transport.call(
                Call(method, path, bearer_auth(token), body), deadline
            )
        except AuthenticationError:
            self._tokens.get().drop(token)
        auth = bearer_auth(await self._token(deadline))
        return await self._transport.call(Call(method, path, auth, body), deadline)

    async def _token(self, deadline: Deadline) -> Token:
        return self._tokens.get().current() or await self._log_in(deadline)

    async def _log_in(self, deadline: Deadline, *, always: bool = False) -> Token:
        call = Call("POST", _LOGIN, self._password)
        send = self._transport.attempts(call, deadline)
        tokens = self._tokens.get()

        async def log_in() -> Token:
            return self._read(await send(), _wire.token)

        async def attempt() -> Token:
            max_wait = self._transport.max_wait(deadline)
            return await tokens.renew(log_in, max_wait, always=always)

        return await self._transport.retry(call, attempt, deadline)
