"""Whether a failed attempt is made again, and how long to wait before.

urllib3's `Retry` is not used: it knows no bound on the total time, no full jitter and no hook. It
stays off, so that this is the only layer that retries.

Every operation of the contract may be repeated: a write puts a property to a value or takes it
away, so doing it twice leaves what doing it once leaves.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from ccs_sdk._deadline import is_number
from ccs_sdk.errors import (
    CCSError,
    ConfigurationError,
    ConnectionFailedError,
    StatusError,
    TimedOutError,
)

_PASSING_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how long the SDK tries; all times are in seconds.

    Before the n-th retry it waits a random time between 0 and `base_delay * 2 ** (n - 1)`, at most
    `max_delay` (full jitter: callers that failed together do not come back together). A
    `Retry-After` of the service takes the place of that time, up to `max_retry_after`.

    The defaults carry a caller through an outage of some seconds, of the service (no answer, so
    the waits grow) or of its database (503 with `Retry-After: 1`).

    Attributes:
        attempts: How many times a call is sent at most, the first one included; 1 never retries.
        total_time: When a call's attempts and waits have taken this long, no further attempt
            begins; an attempt that is under way when the time is nearly over gets shorter timeouts.
        base_delay: The upper bound of the first wait.
        max_delay: The upper bound of every wait that the service did not ask for.
        max_retry_after: The upper bound of the waits that it did ask for.

    Raises:
        ConfigurationError: Fewer attempts than one, a negative time, or something else than numbers.
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
        if not all(is_number(time) and time >= 0 for time in times):  # NaN is not, either
            raise ConfigurationError(
                "The times of a RetryPolicy must be numbers of seconds, 0 or more."
            )


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """What `on_retry` is told before the wait.

    Attributes:
        method: The HTTP method.
        path: The path with its query, percent-encoded.
        attempt: Which attempt failed, from 1.
        delay: Seconds until the next one.
        error: How it failed.
    """

    method: str
    path: str
    attempt: int
    delay: float
    error: CCSError


OnRetry: TypeAlias = Callable[[RetryEvent], object]
"""Called before each retry, in the thread of the call; what it raises ends the call."""


def is_passing(error: CCSError) -> bool:
    """Whether the failure may be over by the next attempt."""
    if isinstance(error, StatusError):
        return error.status in _PASSING_STATUSES
    return isinstance(error, ConnectionFailedError | TimedOutError)


def delay_before_retry(
    policy: RetryPolicy,
    attempt: int,
    retry_after: float | None,
    chance: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after the failed `attempt`, counted from 1.

    `chance` gives a number from 0 to 1.
    """
    if retry_after is not None:
        return min(retry_after, policy.max_retry_after)
    # 2.0 ** 1024 overflows; from 2 ** 60 on, only max_delay can be the smaller one.
    return chance() * min(policy.max_delay, policy.base_delay * 2.0 ** min(attempt - 1, 60))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` header asks for, as a number or as a date after `now`.

    None if it is neither.
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
