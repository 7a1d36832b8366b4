"""Sends requests and retries them. All requests of the SDK go through this module."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from ccs_sdk import _events, _responses
from ccs_sdk._call import REQUEST_ID, Call, RawResponse
from ccs_sdk._deadline import Deadline
from ccs_sdk._event_stream import CONTENT_TYPE, SILENCE_SECONDS
from ccs_sdk._events import RequestEvent, ResponseEvent
from ccs_sdk._options import Options
from ccs_sdk._reading import Response
from ccs_sdk._retry import RetryEvent, delay_before_next
from ccs_sdk.aio._concurrency import sleep
from ccs_sdk.aio._http import AsyncHTTP, AsyncParts
from ccs_sdk.errors import CCSError

T = TypeVar("T")

_SHORTEST_TIMEOUT = 0.001


class AsyncTransport:
    """Sends requests to one service. Tasks of one event loop may share it."""

    def __init__(self, http: AsyncHTTP, options: Options) -> None:
        self._http = http
        self.options = options

    @property
    def base_url(self) -> str:
        """The URL of the service, without a slash at its end."""
        return self._http.base_url

    def with_options(self, changes: Mapping[str, Any]) -> "AsyncTransport":
        """Returns a transport with other options and the same connections."""
        return AsyncTransport(self._http, replace(self.options, **changes))

    async def close(self) -> None:
        """Closes the connections, unless the caller provided them. Later calls fail."""
        await self._http.close()

    def deadline(self) -> Deadline:
        """Returns the deadline of a call that begins now."""
        return Deadline.after(self.options.policy.total_time)

    def max_wait(self, deadline: Deadline) -> float:
        """Returns how many seconds one attempt takes at most if the service sends nothing."""
        return min(max(deadline.remaining(), _SHORTEST_TIMEOUT), sum(self.options.timeouts))

    async def call(self, call: Call, deadline: Deadline) -> Response:
        """Sends a request, retries it as the policy says, and returns the response.

        Args:
            call: The request.
            deadline: The deadline of this call, or of a larger call that it is part of.

        Raises:
            CCSError: The last attempt failed, or the body is too large.
        """
        send = self.attempts(call, deadline)
        if not call.repeatable:
            return await send()
        return await self.retry(call, send, deadline)

    async def open(self, call: Call) -> AsyncParts | None:
        """Sends a request for an event stream once, and returns what comes. None if the response is no such stream.

        Raises:
            CCSError: There is no response, or it is an error.
        """
        return await _AsyncAttempts(self._http, self.options, call, self.deadline()).open()

    def attempts(self, call: Call, deadline: Deadline) -> Callable[[], Awaitable[Response]]:
        """Returns a function that sends the request once. Each time, the request id is the same."""
        return _AsyncAttempts(self._http, self.options, call, deadline).send

    async def retry(self, call: Call, attempt: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        """Calls `attempt` until it succeeds or the policy ends the retries, and returns its result."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return await attempt()
            except CCSError as error:
                delay = delay_before_next(self.options.policy, attempts, error, deadline)
                if delay is None:
                    raise
                event = RetryEvent(call.method, call.path, attempts, delay, error)
            _events.log_retry(event)
            if self.options.on_retry is not None:
                self.options.on_retry(event)
            await sleep(delay)


class _AsyncAttempts:
    """The attempts to send one request."""

    __slots__ = ("_call", "_deadline", "_headers", "_http", "_number", "_options", "_request_id")

    def __init__(self, http: AsyncHTTP, options: Options, call: Call, deadline: Deadline) -> None:
        self._http = http
        self._options = options
        self._call = call
        self._deadline = deadline
        self._request_id = uuid4().hex
        self._headers = call.headers(self._request_id, options.user_agent)
        self._number = 0

    async def send(self) -> Response:
        """Sends the request once and returns its successful response, or raises the error that it means."""
        self._number += 1
        call, options = self._call, self._options
        headers = self._next_headers()
        left = max(self._deadline.remaining(), _SHORTEST_TIMEOUT)
        connect, read = options.timeouts
        begin = time.monotonic()
        raw = await self._http.send(call, headers, (min(connect, left), min(read, left)))
        if _events.is_observed(options.on_response):
            self._tell(raw, time.monotonic() - begin)
        result = _responses.read_response(
            raw, self._request_id, call.body, decimals=options.decimals
        )
        if isinstance(result, Response):
            return result
        raise result

    async def open(self) -> AsyncParts | None:
        """As `send`, for an event stream."""
        self._number += 1
        call, options = self._call, self._options
        headers = self._next_headers()
        connect, read = options.timeouts
        begin = time.monotonic()
        raw, parts = await self._http.open(call, headers, (connect, max(read, SILENCE_SECONDS)))
        if _events.is_observed(options.on_response):
            self._tell(raw, time.monotonic() - begin)
        result = _responses.read_response(
            raw, self._request_id, call.body, decimals=options.decimals
        )
        if not isinstance(result, Response):
            raise result
        if parts is not None and not raw.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            await parts.close()
            return None
        return parts

    def _tell(self, raw: RawResponse, seconds: float) -> None:
        call = self._call
        request_id = raw.headers.get(REQUEST_ID, self._request_id)
        event = ResponseEvent(
            call.method, call.path, request_id, self._number, raw.status, raw.headers, seconds
        )
        _events.tell_response(event, self._options.on_response)

    def _next_headers(self) -> dict[str, str]:
        """Returns the headers of this attempt, with what the hook adds."""
        hook = self._options.on_request
        if hook is None:
            return self._headers
        headers = dict(self._headers)
        call = self._call
        hook(RequestEvent(call.method, call.path, self._request_id, self._number, headers))
        return headers
