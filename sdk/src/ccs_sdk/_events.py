"""What the SDK tells of its requests: to hooks, to the logger `ccs_sdk`, and to `recorded_responses`."""

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias

from ccs_sdk._retry import RetryEvent

logger: Final = logging.getLogger("ccs_sdk")


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """The argument of `on_request`: an attempt that is about to be sent.

    Attributes:
        method: The HTTP method.
        path: The path with its query, percent-encoded.
        request_id: The id with which the service logs the request, the same for all attempts.
        attempt: The number of the attempt, from 1.
        headers: The headers of this attempt, without the credential. The hook may add to them, for
            example `traceparent`.
    """

    method: str
    path: str
    request_id: str
    attempt: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class ResponseEvent:
    """A response that arrived: the argument of `on_response`, and an item of `recorded_responses`.

    Attributes:
        method: The HTTP method of the request.
        path: The path of the request with its query, percent-encoded.
        request_id: The id with which the service logged the request.
        attempt: The number of the attempt, from 1.
        status: The HTTP status.
        headers: The headers of the response. Their names are not case-sensitive.
        seconds: The time from the request to the end of the response.
    """

    method: str
    path: str
    request_id: str
    attempt: int
    status: int
    headers: Mapping[str, str]
    seconds: float


OnRequest: TypeAlias = Callable[[RequestEvent], object]
"""A function called before each attempt, by the caller's thread or task. An exception from it ends the call."""

OnResponse: TypeAlias = Callable[[ResponseEvent], object]
"""A function called with each response, by the caller's thread or task. An exception from it ends the call."""

_recorder: ContextVar[list[ResponseEvent] | None] = ContextVar("ccs_sdk_responses", default=None)


@contextmanager
def recorded_responses() -> Generator[list[ResponseEvent]]:
    """Records the responses to the calls of a `with` block, in the order of their arrival.

    ```python
    with recorded_responses() as responses:
        call["intent"] = "rebook"
    print(responses[-1].request_id, responses[-1].headers["ETag"])
    ```

    Responses of all clients are recorded, also those that the SDK retries or raises as errors. Calls of
    other threads are not; calls of asynchronous tasks are, if the tasks were created in the block.
    """
    responses: list[ResponseEvent] = []
    token = _recorder.set(responses)
    try:
        yield responses
    finally:
        _recorder.reset(token)


def is_observed(on_response: OnResponse | None) -> bool:
    """Returns whether anything is to be told of a response."""
    return (
        on_response is not None or _recorder.get() is not None or logger.isEnabledFor(logging.DEBUG)
    )


def tell_response(event: ResponseEvent, on_response: OnResponse | None) -> None:
    """Tells the logger, the recorder and the hook of a response."""
    logger.debug(
        "%s %s: %d after %.1f ms (request id %s, attempt %d)",
        event.method,
        event.path,
        event.status,
        event.seconds * 1e3,
        event.request_id,
        event.attempt,
    )
    recorder = _recorder.get()
    if recorder is not None:
        recorder.append(event)
    if on_response is not None:
        on_response(event)


def log_retry(event: RetryEvent) -> None:
    """Tells the logger of a retry."""
    logger.info(
        "%s %s failed at attempt %d, next attempt in %.2f s: %s",
        event.method,
        event.path,
        event.attempt,
        event.delay,
        event.error,
    )
