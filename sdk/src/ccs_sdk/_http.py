"""Sends requests with `requests`, over persistent connections. Only this module knows that library."""

from collections.abc import Iterator
from typing import Any, NoReturn

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ccs_sdk._auth import Credential
from ccs_sdk._call import REQUEST_ID, Call, RawResponse
from ccs_sdk._connections import ForkableAdapter
from ccs_sdk._options import Connecting, option
from ccs_sdk._process import PerProcess
from ccs_sdk._tracing import traced
from ccs_sdk.errors import (
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    TimedOutError,
    TransportError,
)


class _Credential(AuthBase):
    """Adds the header with the credential.

    `requests` searches for a netrc file, which could replace the header, only if a request has no
    `auth`.
    """

    __slots__ = ("_credential",)

    def __init__(self, credential: Credential | None) -> None:
        self._credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._credential is not None:
            request.headers[self._credential.header] = self._credential.value
        return request


class HTTP:
    """The connections to one service. Threads may share it, and each process has its own connections."""

    def __init__(self, connecting: Connecting, http_session: requests.Session | None) -> None:
        self.base_url = connecting.base_url
        self._connecting = connecting
        self._given = (
            None if http_session is None else option("http_session", http_session, requests.Session)
        )
        if self._given is not None and connecting.secures:
            raise ConfigurationError(
                "Set verify, cert and proxies of the http_session itself, not as arguments too."
            )
        self._http = PerProcess(self._new_session)
        self._send = traced(self._send_once, self.base_url)
        self._closed = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A client cannot be pickled: it holds connections. Create one in each process instead."
        )

    def close(self) -> None:
        """Closes the connections, unless the caller provided the session. Later requests fail."""
        self._closed = True
        if self._given is None and (http := self._http.existing()) is not None:
            http.close()

    def send(
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
            response = self._send(call, headers, timeouts)
        except (OSError, HTTPError) as error:  # every exception of `requests` and of urllib3
            failure: TransportError = _failure(error, headers[REQUEST_ID])
        else:
            if not getattr(response.raw, "length_remaining", None):
                return RawResponse(response.status_code, response.headers, response.content)
            # urllib3 1.26 does not check it.
            failure = ConnectionFailedError(
                "The response was cut off.", request_id=headers[REQUEST_ID]
            )
        # Raised outside of the except block, so that it is not chained to the exception above, which
        # contains the request and its headers.
        raise failure

    def open(
        self, call: Call, headers: dict[str, str], timeouts: tuple[float, float]
    ) -> "tuple[RawResponse, Parts | None]":
        """Sends a request once, and returns the head of its response and what comes then, as it comes.

        It returns None in place of the latter if the response is complete, or would have to be before it can
        be read. Otherwise, close it.

        Raises:
            ClientClosedError: The client was closed.
            TransportError: There is no response.
        """
        if self._closed:
            raise ClientClosedError("The client is closed; create another one.")
        try:
            response = self._send_once(call, headers, timeouts, stream=True)
            if response.ok and not getattr(response.raw, "chunked", False):
                # Neither `requests` nor urllib3 1.26 return a part of it before its end.
                response.close()
                return RawResponse(response.status_code, response.headers, b""), None
            content = b"" if response.ok else response.content
        except (OSError, HTTPError) as error:
            failure = _failure(error, headers[REQUEST_ID])
        else:
            raw = RawResponse(response.status_code, response.headers, content)
            return raw, Parts(response, headers[REQUEST_ID]) if response.ok else None
        raise failure

    def _send_once(
        self,
        call: Call,
        headers: dict[str, str],
        timeouts: tuple[float, float],
        *,
        stream: bool = False,
    ) -> requests.Response:
        http = self._http.get()
        auth = _Credential(call.credential)
        request = requests.Request(call.method, self.base_url, headers, data=call.body, auth=auth)
        prepared = http.prepare_request(request)
        # The path is set last, because `requests` would turn `%2E%2E` into `..`.
        prepared.url = self.base_url + call.path
        settings = _settings(http, prepared.url) if http is self._given else _own_settings(http)
        return http.send(
            prepared, timeout=timeouts, allow_redirects=False, stream=stream, **settings
        )

    def _new_session(self) -> requests.Session:
        """Creates the session of this process, or returns the one that the caller provided."""
        if self._given is not None:
            if self._http.inherited():
                raise ConfigurationError(
                    "The http_session was used before this process was forked, so its connections"
                    " are shared; create the session and the client after the fork."
                )
            return self._given
        session = requests.Session()
        adapter = ForkableAdapter(pool_maxsize=self._connecting.pool_size)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.verify = self._connecting.verify
        session.cert = self._connecting.cert
        session.proxies.update(self._connecting.proxies)
        # The environment applies as it is now. Looking into it for each request takes a fifth of the request's time.
        settings = _settings(session, self.base_url)
        session.verify, session.proxies = settings["verify"], settings["proxies"]
        session.trust_env = False
        return session


class Parts:
    """What comes of a response, as it comes."""

    def __init__(self, response: requests.Response, request_id: str) -> None:
        self._response = response
        self._request_id = request_id

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_content(chunk_size=None)
        except (OSError, HTTPError) as error:
            failure = _failure(error, self._request_id)
        else:
            return
        raise failure

    def close(self) -> None:
        """Ends the response."""
        self._response.close()


def _own_settings(http: requests.Session) -> dict[str, Any]:
    """Returns how to send a request with a session of ours, whose settings are complete."""
    return {"verify": http.verify, "cert": http.cert, "proxies": http.proxies}


def _settings(http: requests.Session, url: str) -> dict[str, Any]:
    """Returns how to send a request. In `requests` the environment overrides the session; here the session does."""
    verify = None if http.verify is True else http.verify
    settings: dict[str, Any] = dict(
        http.merge_environment_settings(url, proxies={}, stream=None, verify=verify, cert=None)
    )
    del settings["stream"]
    if http.proxies:
        settings["proxies"] = http.proxies
    return settings


def _failure(error: Exception, request_id: str) -> TransportError:
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
