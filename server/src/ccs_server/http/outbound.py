"""Sends HTTP requests to receivers that clients have chosen: to addresses that were checked, and within limits.

A host is looked up once for each connection. All of its addresses are checked, and one of them is connected to, so a
name that leads elsewhere a moment later changes nothing. The request and TLS still know the host by its name.
Redirects are responses like others, proxies of the environment are not used, and of a response only the status and the
wait that it asks for are kept.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import httpcore2
from httpcore2 import AsyncConnectionPool, AsyncNetworkBackend, AsyncNetworkStream

from ccs_server.domain.receivers import Networks, Receiver, RefusedAddress, check_addresses
from ccs_server.http.name_lookup import look_up

MAX_RESPONSE_BYTES = 4096
"""How much of the body of a response is read at most."""

MAX_HEAD_BYTES = 16_384
"""How long what precedes it may be: the head, and the heads of informational responses."""

_KEEP_SECONDS = 2.0
"""How long a connection is kept for the next request: many come one after the other, or none for long."""


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        status: that of the response; None if there is none.
        reason: one sentence that says why it failed; None if it succeeded. Nothing of the response is in it.
        retry_after: the seconds that the receiver asks to wait.
    """

    status: int | None
    reason: str | None
    retry_after: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the receiver says that it will never take such requests again."""
        return self.status == HTTPStatus.GONE


class _NoSuchHost(Exception):
    """The host has no address."""


class _LongResponse(Exception):
    """As much of the response has been read as may be."""


class _BoundedStream(AsyncNetworkStream):
    """A connection from which no more of a response is read than is wanted of it.

    The library reads 64 KiB at once, so that it is in memory before anything says how long it is.

    Attributes:
        is_in_body: whether the head of the response has been read to its end.
    """

    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream
        self.is_in_body = False
        self._head = 0
        self._body = 0

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
    ) -> bytes:
        if not self.is_in_body:
            # What is read with the end of the head may all be of the body.
            self._body = 0
        room = MAX_RESPONSE_BYTES - self._body
        if not room or self._head >= MAX_HEAD_BYTES:
            raise _LongResponse
        data = await self._stream.read(min(max_bytes, room), timeout)
        self._body += len(data)
        if not self.is_in_body:
            self._head += len(data)
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        self.is_in_body = False
        self._head = 0
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncNetworkStream:
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever is asked for
        return self._stream.get_extra_info(info)


class _CheckedBackend(AsyncNetworkBackend):
    """Connects to addresses that were checked."""

    def __init__(self, scheme: str, allowed: Networks) -> None:
        self._scheme = scheme
        self._allowed = allowed
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        try:
            addresses = await asyncio.wrap_future(look_up(host, port))
        except OSError as error:
            raise _NoSuchHost(host) from error
        check_addresses(self._scheme, addresses, self._allowed)
        options = timeout, local_address, socket_options
        for address in addresses[:-1]:
            try:
                return _BoundedStream(await self._sockets.connect_tcp(address, port, *options))
            except httpcore2.ConnectError:
                pass  # The next one may do.
        return _BoundedStream(await self._sockets.connect_tcp(addresses[-1], port, *options))


class Sender:
    """Sends requests for the length of an `async with` block.

    Args:
        allowed: networks that are not public, and may be connected to nevertheless.
        limit: how many connections there may be.
        seconds: how long a response may take, from the look-up of the host on.
    """

    def __init__(self, allowed: Networks, *, limit: int, seconds: float) -> None:
        self._seconds = seconds
        # The system's certificates, or those that SSL_CERT_FILE names.
        context = ssl.create_default_context()
        self._pools = {
            scheme: AsyncConnectionPool(
                ssl_context=context,
                max_connections=limit,
                keepalive_expiry=_KEEP_SECONDS,
                network_backend=_CheckedBackend(scheme, allowed),
            )
            for scheme in ("https", "http")
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def post(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Sends a POST; never raises because of what the receiver does."""
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout(self._seconds):
                url = httpcore2.URL(
                    scheme=receiver.scheme,
                    host=receiver.host,
                    port=receiver.port,
                    target=receiver.target,
                )
                async with self._pools[receiver.scheme].stream(
                    "POST", url, headers=list(headers.items()), content=body
                ) as response:
                    outcome = _outcome(response)
                    await _read(response)
        except RefusedAddress:
            return Outcome(None, "The address of the host is not public, and is not allowed.")
        except _NoSuchHost:
            return Outcome(None, "The host has no address.")
        except TimeoutError:
            return outcome or Outcome(
                None, f"The receiver did not respond within {self._seconds:g} seconds."
            )
        except _LongResponse:
            return outcome or Outcome(None, "The head of the receiver's response is too long.")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            return outcome or Outcome(None, _reason(error))
        return outcome


async def _read(response: httpcore2.Response) -> None:
    """Reads what a receiver usually says, so that the connection can be used again."""
    response.extensions["network_stream"].is_in_body = True
    async for _ in response.aiter_stream():
        pass


def _outcome(response: httpcore2.Response) -> Outcome:
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(status, None)
    headers = {name.lower(): value for name, value in response.headers}
    return Outcome(
        status, f"The receiver responded {status}.", _retry_after(headers.get(b"retry-after", b""))
    )


def _retry_after(value: bytes) -> float:
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The receiver's certificate is not valid: {cause.verify_message}."
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore2.ConnectError):
        return "The receiver cannot be connected to."
    return "The receiver closed the connection, or did not respond in HTTP."
