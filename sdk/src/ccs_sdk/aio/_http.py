"""Sends requests with httpx2, over persistent connections. Only this module knows that library."""

import os
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import httpx2

from ccs_sdk._call import REQUEST_ID, Call, RawResponse
from ccs_sdk._options import Connecting, option
from ccs_sdk._process import PerProcess
from ccs_sdk._tracing import traced_async
from ccs_sdk.errors import (
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    TimedOutError,
    TransportError,
)


class AsyncHTTP:
    """The connections to one service, of one event loop. Each process has its own."""

    def __init__(self, connecting: Connecting, http_client: httpx2.AsyncClient | None) -> None:
        self.base_url = connecting.base_url
        self._connecting = connecting
        self._given = (
            None if http_client is None else option("http_client", http_client, httpx2.AsyncClient)
        )
        if self._given is not None and connecting.secures:
            raise ConfigurationError(
                "Set verify, cert and proxies of the http_client itself, not as arguments too."
            )
        self._http = PerProcess(self._new_client)
        self._send = traced_async(self._send_once, self.base_url)
        self._closed = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A client cannot be pickled: it holds connections. Create one in each process instead."
        )

    async def close(self) -> None:
        """Closes the connections, unless the caller provided the client. Later requests fail."""
        self._closed = True
        if self._given is None and (http := self._http.existing()) is not None:
            await http.aclose()

    async def send(
        self, call: Call, headers: dict[str, str], timeouts: tuple[float, float]
    ) -> RawResponse:
        """Sends a request once and returns its complete response.

        Args:
            call: The request. Its path is sent unchanged.
            headers: All headers but the credential.
            timeouts: Seconds to connect, and to wait for each part of the response.

        Raises:
            ClientClosedError: The client was closed.
            TransportError: There is no complete response.
        """
        if self._closed:
            raise ClientClosedError("The client is closed; create another one.")
        try:
            response = await self._send(call, headers, timeouts)
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            failure = _failure(error, headers[REQUEST_ID])
        else:
            return RawResponse(response.status_code, response.headers, response.content)
        # Raised outside of the except block, so that it is not chained to the exception above, which
        # contains the request and its headers.
        raise failure

    async def open(
        self, call: Call, headers: dict[str, str], timeouts: tuple[float, float]
    ) -> "tuple[RawResponse, AsyncParts | None]":
        """Sends a request once, and returns the head of its response and what comes then, as it comes.

        It returns None in place of the latter if the response is complete. Otherwise, close it.

        Raises:
            ClientClosedError: The client was closed.
            TransportError: There is no response.
        """
        if self._closed:
            raise ClientClosedError("The client is closed; create another one.")
        try:
            response = await self._send_once(call, headers, timeouts, stream=True)
            content = b"" if response.is_success else await response.aread()
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            failure = _failure(error, headers[REQUEST_ID])
        else:
            raw = RawResponse(response.status_code, response.headers, content)
            return raw, AsyncParts(response, headers[REQUEST_ID]) if response.is_success else None
        raise failure

    async def _send_once(
        self,
        call: Call,
        headers: dict[str, str],
        timeouts: tuple[float, float],
        *,
        stream: bool = False,
    ) -> httpx2.Response:
        http = self._http.get()
        if call.credential is not None:
            headers = headers | {call.credential.header: call.credential.value}
        connect, read = timeouts
        request = http.build_request(
            call.method,
            self.base_url + call.path,
            headers=headers,
            content=call.body,
            timeout=httpx2.Timeout(read, connect=connect),
        )
        return await http.send(request, auth=None, follow_redirects=False, stream=stream)

    def _new_client(self) -> httpx2.AsyncClient:
        """Creates the client of this process, or returns the one that the caller provided."""
        if self._given is not None:
            if self._http.inherited():
                raise ConfigurationError(
                    "The http_client was used before this process was forked, so its connections"
                    " are shared; create both clients after the fork."
                )
            return self._given
        tls = _tls(self._connecting)
        # As many connections as there are concurrent calls; those above the size are closed after use.
        limits = httpx2.Limits(
            max_connections=None,
            max_keepalive_connections=self._connecting.pool_size,
            keepalive_expiry=None,
        )
        return httpx2.AsyncClient(
            verify=tls,
            limits=limits,
            trust_env=not self._connecting.proxies,
            mounts={
                f"{scheme}://": httpx2.AsyncHTTPTransport(verify=tls, limits=limits, proxy=proxy)
                for scheme, proxy in self._connecting.proxies.items()
            },
        )


class AsyncParts:
    """What comes of a response, as it comes."""

    def __init__(self, response: httpx2.Response, request_id: str) -> None:
        self._response = response
        self._request_id = request_id

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_bytes():
                yield part
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            failure = _failure(error, self._request_id)
        else:
            return
        raise failure

    async def close(self) -> None:
        """Ends the response."""
        await self._response.aclose()


def _tls(connecting: Connecting) -> ssl.SSLContext:
    """Returns the certificates to trust and to present, or raises ConfigurationError."""
    try:
        if isinstance(connecting.verify, str):
            bundle = connecting.verify
            several = Path(bundle).is_dir()
            tls = ssl.create_default_context(
                cafile=None if several else bundle, capath=bundle if several else None
            )
        elif connecting.verify and connecting.cert is None:
            return _default_tls(os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR"))
        else:
            tls = httpx2.create_ssl_context(connecting.verify)
        if connecting.cert is not None:
            cert = connecting.cert if isinstance(connecting.cert, tuple) else (connecting.cert,)
            tls.load_cert_chain(*cert)
    except OSError as error:
        raise ConfigurationError(f"The files of verify or cert cannot be read: {error}") from None
    return tls


@lru_cache(maxsize=1)
def _default_tls(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    """Returns the certificates that httpx2 trusts by default, given these variables of the environment.

    All clients share them: reading them holds the event loop for 25 milliseconds.
    """
    return httpx2.create_ssl_context()


def _failure(error: Exception, request_id: str) -> TransportError:
    """Returns the SDK's error for an exception of httpx2.

    It does not refer to the exception, which contains the request and its headers.
    """
    if isinstance(error, httpx2.TimeoutException):
        return TimedOutError(
            "The service did not respond within the timeout.", request_id=request_id
        )
    root = _root(error)
    # A message of httpx2 may quote a header; exceptions of lower layers only mention sockets.
    details = f": {root}" if isinstance(root, OSError) else ""
    return ConnectionFailedError(
        f"The connection failed: {type(root).__name__}{details}", request_id=request_id
    )


def _root(error: BaseException) -> BaseException:
    """Returns the innermost exception, which caused the others."""
    inner = error.__cause__ or error.__context__
    return error if inner is None else _root(inner)
