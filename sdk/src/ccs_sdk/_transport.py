"""Sends requests and retries them. All requests of the SDK go through this module."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import uuid4

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from ccs_sdk import _responses
from ccs_sdk._connections import ForkableAdapter
from ccs_sdk._deadline import Deadline
from ccs_sdk._options import (
    check_base_url,
    check_pool_size,
    option,
    retry_hook,
    retry_policy,
    timeouts,
)
from ccs_sdk._process import PerProcess
from ccs_sdk._reading import Response
from ccs_sdk._retry import OnRetry, RetryEvent, RetryPolicy, delay_before_retry, is_retryable
from ccs_sdk._version import __version__
from ccs_sdk.errors import CCSError, ClientClosedError, ConfigurationError, TooLargeError

T = TypeVar("T")

# The service may refuse a larger body without reading all of it and close the connection, which would
# look like a connection failure. So the SDK refuses it first.
MAX_BODY_BYTES = 1_048_576
_SHORTEST_TIMEOUT = 0.001
_NO_RETRY = RetryPolicy(attempts=1, total_time=math.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request, apart from the service that it is sent to.

    Attributes:
        method: GET, PUT, …
        path: Path and query, percent-encoded; sent unchanged.
        auth: Sets the header with the credentials.
        body: JSON text, or None for no body.
        idempotency_key: With this key, the service performs the request once, however often it is sent.
        repeatable: Whether the request may be sent again. Only one with side effects and no key may not.
    """

    method: str
    path: str
    auth: AuthBase
    body: bytes | None = None
    idempotency_key: str | None = None
    repeatable: bool = True


class Transport:
    """Sends requests to one service, over persistent connections. Threads may share it."""

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str,
        *,
        timeout: float | tuple[float, float],
        retry: RetryPolicy | None,
        on_retry: OnRetry | None,
        pool_size: int,
        http_session: requests.Session | None,
        decimals: bool,
    ) -> None:
        self.base_url = check_base_url(base_url)
        self._timeouts = timeouts(timeout)
        self._policy = retry_policy(retry) or _NO_RETRY
        self._on_retry = retry_hook(on_retry)
        self._pool_size = check_pool_size(pool_size)
        self._given = (
            None if http_session is None else option("http_session", http_session, requests.Session)
        )
        self._http = PerProcess(self._new_session)
        self._decimals = decimals
        self._closed = False

    def close(self) -> None:
        """Closes the connections, unless the caller provided the session. Later calls fail."""
        self._closed = True
        if self._given is None:
            self._http.get().close()

    def deadline(self) -> Deadline:
        """Returns the deadline of a call that begins now."""
        return Deadline.after(self._policy.total_time)

    def max_wait(self, deadline: Deadline) -> float:
        """Returns how many seconds one attempt takes at most if the service sends nothing."""
        return min(max(deadline.remaining(), _SHORTEST_TIMEOUT), sum(self._timeouts))

    def call(self, call: Call, deadline: Deadline) -> Response:
        """Sends a request, retries it as the policy says, and returns the response.

        Args:
            call: The request.
            deadline: The deadline of this call, or of a larger call that it is part of.

        Raises:
            CCSError: The last attempt failed, or the body is too large.
        """
        attempt = self.attempt(call, deadline)
        return self.retry(call, attempt, deadline) if call.repeatable else attempt()

    def attempt(self, call: Call, deadline: Deadline) -> Callable[[], Response]:
        """Returns a function that sends the request once. Each time, the request id is the same."""
        if call.body is not None and len(call.body) > MAX_BODY_BYTES:
            raise TooLargeError(
                f"The body has {len(call.body):,} bytes; send at most {MAX_BODY_BYTES:,} (1 MiB)."
            )
        headers = _headers(call)
        request = requests.Request(
            call.method, self.base_url, headers, data=call.body, auth=call.auth
        )
        return partial(self._attempt, request, headers["X-Request-ID"], call.path, deadline)

    def retry(self, call: Call, attempt: Callable[[], T], deadline: Deadline) -> T:
        """Calls `attempt` until it succeeds or the policy ends the retries, and returns its result."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return attempt()
            except CCSError as error:
                delay = self._delay(error, attempts, deadline)
                if delay is None:
                    raise
                event = RetryEvent(call.method, call.path, attempts, delay, error)
            if self._on_retry is not None:
                self._on_retry(event)
            time.sleep(delay)

    def _delay(self, error: CCSError, attempt: int, deadline: Deadline) -> float | None:
        """Returns the seconds to wait before the next attempt, or None if there is none."""
        if attempt >= self._policy.attempts or not is_retryable(error):
            return None
        delay = delay_before_retry(self._policy, attempt, error.retry_after)
        return delay if delay < deadline.remaining() else None

    def _attempt(
        self, request: requests.Request, request_id: str, path: str, deadline: Deadline
    ) -> Response:
        try:
            response = self._send(request, path, deadline)
        except (OSError, HTTPError) as error:  # every exception of `requests` and of urllib3
            failure: CCSError = _responses.transport_error(error, request_id)
        else:
            result = _responses.read_response(response, request_id, decimals=self._decimals)
            if isinstance(result, Response):
                return result
            failure = result
        # Raised outside of the except block, so that it is not chained to the exception above, which
        # contains the request and its headers.
        raise failure

    def _send(self, request: requests.Request, path: str, deadline: Deadline) -> requests.Response:
        """Sends the request once.

        The path is set last, because `requests` would turn `%2E%2E` into `..`.
        """
        if self._closed:
            raise ClientClosedError("The client is closed; create another one.")
        http = self._http.get()
        prepared = http.prepare_request(request)
        prepared.url = self.base_url + path
        # In `requests` the environment overrides the session. Here the session takes precedence.
        settings = http.merge_environment_settings(
            prepared.url,
            proxies={},
            stream=False,
            verify=None if http.verify is True else http.verify,
            cert=None,
        )
        if http.proxies:
            settings["proxies"] = http.proxies
        left = max(deadline.remaining(), _SHORTEST_TIMEOUT)
        connect, read = self._timeouts
        return http.send(
            prepared,
            timeout=(min(connect, left), min(read, left)),
            allow_redirects=False,
            **settings,
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
        adapter = ForkableAdapter(pool_maxsize=self._pool_size)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


def _headers(call: Call) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"ccs-sdk/{__version__}",
        "X-Request-ID": uuid4().hex,
    }
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if call.idempotency_key is not None:
        headers["Idempotency-Key"] = call.idempotency_key
    return headers
