"""Decides whether to retry a failed attempt, and how long to wait.

urllib3's `Retry` is not used, because it has no limit for the total time, no full jitter and no
hook. It is turned off, so that this is the only layer that retries.

Every operation of the contract is idempotent, so it may be repeated: a write sets or removes
properties, and doing that twice has the same result as doing it once. Other operations, those of the
extension, carry an idempotency key, so that the service performs them once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from ccs_sdk._deadline import Deadline, is_number
from ccs_sdk.errors import (
    CCSError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    StatusError,
    TimedOutError,
)

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how long the SDK retries. All times are in seconds.

    Before the n-th retry it waits a random time between 0 and `base_delay * 2 ** (n - 1)`, at most
    `max_delay` (full jitter: callers that failed together do not retry together). If the response has
    `Retry-After`, it waits that long instead, at most `max_retry_after`.

    The defaults bridge an outage of some seconds, whether of the service (no response, so
    the waits grow) or of its database (503 with `Retry-After: 1`).

    Attributes:
        attempts: The maximum number of attempts, including the first; 1 means no retries.
        total_time: The maximum time of a call with all its attempts and waits. No attempt begins
            after it, and attempts that begin shortly before get shorter timeouts.
        base_delay: The upper limit of the first wait.
        max_delay: The upper limit of waits without `Retry-After`.
        max_retry_after: The upper limit of waits with `Retry-After`.

    Raises:
        ConfigurationError: An attribute is not a number, `attempts` is less than 1, or a time is
            negative.
    """

    attempts: int = 12
    total_time: float = 30.0
    base_delay: float = 0.1
    max_delay: float = 5.0
    max_retry_after: float = 20.0

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise ConfigurationError("attempts must be a whole number, 1 or more.")
        times = (self.total_time, self.base_delay, self.max_delay, self.max_retry_after)
        if not all(is_number(time) and time >= 0 for time in times):  # false for NaN
            raise ConfigurationError(
                "The times of a RetryPolicy must be numbers of seconds, 0 or more."
            )


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """The argument of `on_retry`: a failed attempt, before the wait.

    Attributes:
        method: The HTTP method.
        path: The path with its query, percent-encoded.
        attempt: The number of the failed attempt, from 1.
        delay: Seconds until the next attempt.
        error: The error of the attempt.
    """

    method: str
    path: str
    attempt: int
    delay: float
    error: CCSError


OnRetry: TypeAlias = Callable[[RetryEvent], object]
"""A function called before each retry, by the caller's thread or task. An exception from it ends the call."""


def is_retryable(error: CCSError) -> bool:
    """Returns whether another attempt may succeed."""
    if isinstance(error, ConflictError):  # an earlier attempt of the same request still runs
        return error.retry_after is not None
    if isinstance(error, StatusError):
        return error.status in _RETRYABLE_STATUSES
    return isinstance(error, ConnectionFailedError | TimedOutError)


def delay_before_next(
    policy: RetryPolicy, attempt: int, error: CCSError, deadline: Deadline
) -> float | None:
    """Returns the seconds to wait after the failed `attempt`, counted from 1, or None if it was the last."""
    if attempt >= policy.attempts or not is_retryable(error):
        return None
    delay = delay_before_retry(policy, attempt, error.retry_after)
    return delay if delay < deadline.remaining() else None


def delay_before_retry(
    policy: RetryPolicy,
    attempt: int,
    retry_after: float | None,
    chance: Callable[[], float] = random.random,
) -> float:
    """Returns the seconds to wait after the failed `attempt`, counted from 1.

    `chance` returns a random number from 0 to 1.
    """
    if retry_after is not None:
        return min(retry_after, policy.max_retry_after)
    # 2.0 ** 1024 overflows. From 2 ** 60 on, max_delay is always smaller.
    return chance() * min(policy.max_delay, policy.base_delay * 2.0 ** min(attempt - 1, 60))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Returns the seconds of a `Retry-After` header, which is a number or a date after `now`.

    Returns None if it is neither.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
