"""The one place that sends: paths and bytes in, bytes or one of our errors out."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import uuid4

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from ccs_sdk import _answers
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
from ccs_sdk._reading import Answer
from ccs_sdk._retry import OnRetry, RetryEvent, RetryPolicy, delay_before_retry, is_passing
from ccs_sdk._version import __version__
from ccs_sdk.errors import CCSError, ClientClosedError, ConfigurationError, TooLargeError

T = TypeVar("T")

# The service need not read a larger body to its end before it refuses it, and a connection that it
# closes meanwhile looks like one that failed.
MAX_BODY_BYTES = 1_048_576
_SHORTEST_TIMEOUT = 0.001
_NO_RETRY = RetryPolicy(attempts=1, total_time=math.inf)


class Transport:
    """Sends to one service, over kept-alive connections that threads may share."""

    def __init__(  # noqa: PLR0913 - every option is written out
        self,
        base_url: str,
        *,
        timeout: float | tuple[float, float],
        retry: RetryPolicy | None,
        on_retry: OnRetry | None,
        pool_size: int,
        http_session: requests.Session | None,
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
        self._closed = False

    def close(self) -> None:
        """Closes the connections, unless the session was given to us; there are no calls after."""
        self._closed = True
        if self._given is None:
            self._http.get().close()

    def deadline(self) -> Deadline:
        """The deadline of a call that begins now."""
        return Deadline.after(self._policy.total_time)

    def patience(self, deadline: Deadline) -> float:
        """Seconds that one attempt may take if nothing comes at all."""
        return min(max(deadline.remaining(), _SHORTEST_TIMEOUT), sum(self._timeouts))

    def call(
        self, method: str, path: str, auth: AuthBase, body: bytes | None, deadline: Deadline
    ) -> Answer:
        """Sends until the service answers for good, attempts or time run out; returns its answer.

        Args:
            method: GET, PUT, …
            path: Path and query, percent-encoded; sent exactly as it stands.
            auth: Sets the header that proves who asks.
            body: JSON text, or None for no body.
            deadline: Of this call, or of a larger one that it is a part of.

        Raises:
            CCSError: any of its kinds.
        """
        attempt = self.attempt(method, path, auth, body, deadline)
        return self.retried(method, path, attempt, deadline)

    def attempt(
        self, method: str, path: str, auth: AuthBase, body: bytes | None, deadline: Deadline
    ) -> Callable[[], Answer]:
        """A function that sends once; all its attempts have one request id."""
        if body is not None and len(body) > MAX_BODY_BYTES:
            raise TooLargeError(
                f"The body has {len(body):,} bytes; send at most {MAX_BODY_BYTES:,} (1 MiB)."
            )
        headers = _headers(body)
        request = requests.Request(method, self.base_url, headers, data=body, auth=auth)
        return partial(self._attempt, request, headers["X-Request-ID"], path, deadline)

    def retried(self, method: str, path: str, attempt: Callable[[], T], deadline: Deadline) -> T:
        """What `attempt` returns, which is called again as the policy says while it fails."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return attempt()
            except CCSError as error:
                delay = self._delay(error, attempts, deadline)
                if delay is None:
                    raise
                event = RetryEvent(method, path, attempts, delay, error)
            if self._on_retry is not None:
                self._on_retry(event)
            time.sleep(delay)

    def _delay(self, error: CCSError, attempt: int, deadline: Deadline) -> float | None:
        """Seconds to wait before the next attempt; None if there shall be none."""
        if attempt >= self._policy.attempts or not is_passing(error):
            return None
        delay = delay_before_retry(self._policy, attempt, error.retry_after)
        return delay if delay < deadline.remaining() else None

    def _attempt(
        self, request: requests.Request, request_id: str, path: str, deadline: Deadline
    ) -> Answer:
        try:
            response = self._send(request, path, deadline)
        except (OSError, HTTPError) as error:  # all of `requests` and all of urllib3
            failure: CCSError = _answers.failure_from(error, request_id)
        else:
            answer = _answers.answer_of(response, request_id)
            if isinstance(answer, Answer):
                return answer
            failure = answer
        # Outside of the except block: so the traceback has no word of the exception above, which
        # holds the request and its headers.
        raise failure

    def _send(self, request: requests.Request, path: str, deadline: Deadline) -> requests.Response:
        """One exchange. The path goes in last, or `requests` would make `..` of `%2E%2E`."""
        if self._closed:
            raise ClientClosedError("The client is closed; make another one.")
        http = self._http.get()
        prepared = http.prepare_request(request)
        prepared.url = self.base_url + path
        # `requests` lets the environment overrule what the session says; here it fills in the rest.
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
        """The session of this process."""
        if self._given is not None:
            if self._http.inherited():
                raise ConfigurationError(
                    "The http_session was used before this process was forked, so its connections"
                    " are shared; make the session and the client after the fork."
                )
            return self._given
        session = requests.Session()
        adapter = ForkableAdapter(pool_maxsize=self._pool_size)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


def _headers(body: bytes | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"ccs-sdk/{__version__}",
        "X-Request-ID": uuid4().hex,
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    return headers
