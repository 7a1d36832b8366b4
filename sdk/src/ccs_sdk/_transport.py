"""The one place that sends: paths and bytes in, bytes or one of our errors out."""

import math
import time
from typing import Unpack
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from ccs_sdk import _answers
from ccs_sdk._deadline import Deadline
from ccs_sdk._options import ClientOptions, check_base_url, timeouts
from ccs_sdk._reading import Answer
from ccs_sdk._retry import RetryEvent, RetryPolicy, delay_before_retry, is_passing
from ccs_sdk._version import __version__
from ccs_sdk.errors import CCSError, ConfigurationError, TooLargeError

MAX_BODY_BYTES = 1_048_576
_SHORTEST_TIMEOUT = 0.001
_NO_RETRY = RetryPolicy(attempts=1, total_time=math.inf)


class Transport:
    """Sends to one service, over kept-alive connections that threads may share."""

    def __init__(self, base_url: str, **options: Unpack[ClientOptions]) -> None:
        self.base_url = check_base_url(base_url)
        self._timeouts = timeouts(options.get("timeout", (3.05, 10.0)))
        self._policy = options.get("retry", RetryPolicy()) or _NO_RETRY
        self._on_retry = options.get("on_retry")
        given = options.get("http_session")
        self._http = _new_session(options.get("pool_size", 10)) if given is None else given
        self._owns_http = given is None

    def close(self) -> None:
        """Closes the connections, unless the session was given to us."""
        if self._owns_http:
            self._http.close()

    def deadline(self) -> Deadline:
        """The deadline of a call that begins now."""
        return Deadline.after(self._policy.total_time)

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
        if body is not None and len(body) > MAX_BODY_BYTES:
            raise TooLargeError("The body is too large; send at most 1 MiB.")
        headers = _headers(body)
        attempt = 0
        while True:
            attempt += 1
            request = requests.Request(method, self.base_url, headers, data=body, auth=auth)
            try:
                return self._attempt(request, path, deadline)
            except CCSError as error:
                delay = self._delay(error, attempt, deadline)
                if delay is None:
                    raise
                event = RetryEvent(method, path, attempt, delay, error)
            if self._on_retry is not None:
                self._on_retry(event)
            time.sleep(delay)

    def _delay(self, error: CCSError, attempt: int, deadline: Deadline) -> float | None:
        """Seconds to wait before the next attempt; None if there shall be none."""
        if attempt >= self._policy.attempts or not is_passing(error):
            return None
        delay = delay_before_retry(self._policy, attempt, error.retry_after)
        return delay if delay < deadline.remaining() else None

    def _attempt(self, request: requests.Request, path: str, deadline: Deadline) -> Answer:
        request_id = request.headers["X-Request-ID"]
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
        prepared = self._http.prepare_request(request)
        prepared.url = self.base_url + path
        settings = self._http.merge_environment_settings(
            prepared.url, proxies={}, stream=False, verify=None, cert=None
        )
        left = max(deadline.remaining(), _SHORTEST_TIMEOUT)
        connect, read = self._timeouts
        return self._http.send(
            prepared,
            timeout=(min(connect, left), min(read, left)),
            allow_redirects=False,
            **settings,
        )


def _headers(body: bytes | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"ccs-sdk/{__version__}",
        "X-Request-ID": uuid4().hex,
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _new_session(pool_size: int) -> requests.Session:
    if type(pool_size) is not int or pool_size < 1:
        raise ConfigurationError("pool_size must be 1 or more.")
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=pool_size)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
