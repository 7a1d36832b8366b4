"""Rate limits of accounts: by their quota, else by CCS_RATE_LIMIT, else none."""

import logging
from math import ceil
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Self

from ccs_server.domain.errors import TooManyRequests
from ccs_server.domain.quotas import RateStanding
from ccs_server.settings import SettingError, Settings

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter as Counter

_log = logging.getLogger("ccs.rates")

_IN_MEMORY = "memory://"

# A storage that is away must not take the service with it: each try is short, and the next one waits.
_TIMEOUTS = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
_PAUSE_SECONDS = 2.0


class RateLimiter:
    """Counts the requests of accounts, in a storage that instances share or, in memory, for this process alone.

    Without a counter, one in memory is made for the first account that has a rate.
    """

    def __init__(self, default: "RateLimitItem | None", counter: "Counter | None") -> None:
        self._default = default
        self._counter = counter
        self._making = Lock()
        self._paused_until = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limiter that the settings ask for.

        Raises:
            SettingError: there is no such storage.
        """
        default = _parse(settings.rate_limit) if settings.rate_limit else None
        if settings.rate_limit_storage is None:
            return cls(default, None)
        try:
            return cls(default, _counter_in(settings.rate_limit_storage, **_TIMEOUTS))
        except Exception as error:
            raise SettingError(
                "CCS_RATE_LIMIT_STORAGE must be the URL of a Redis, such as redis://localhost:6379, "
                "and the package 'redis' installed."
            ) from error

    def rate_of(self, requests: str | None) -> "RateLimitItem | None":
        """The rate of an account whose quota says `requests`, such as `100/second`; None if it has no limit."""
        return _parse(requests) if requests else self._default

    def count(self, account: str, rate: "RateLimitItem") -> None:
        """Counts a request of the account.

        Raises:
            TooManyRequests: it is one too many.
        """
        if self._paused_until > monotonic():
            return
        try:
            counter = self._counter or self._make_counter()
            if counter.hit(rate, account):
                return
            standing = _standing(counter, rate, account)
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            self._pause(error)
            return
        retry_after = max(1, standing.reset)
        raise TooManyRequests(
            f"The account is over its rate of {rate}; slow down.",
            retry_after,
            standing._replace(remaining=0, reset=retry_after),
        )

    def standing(self, account: str, rate: "RateLimitItem") -> RateStanding | None:
        """How the account stands to its rate now; None while rates are not limited."""
        if self._paused_until > monotonic():
            return None
        try:
            return _standing(self._counter or self._make_counter(), rate, account)
        except Exception as error:  # noqa: BLE001 - as above
            self._pause(error)
            return None

    def _pause(self, error: Exception) -> None:
        self._paused_until = monotonic() + _PAUSE_SECONDS
        _log.warning("Rates are not limited now: the storage fails (%s).", type(error).__name__)

    def _make_counter(self) -> "Counter":
        with self._making:
            if self._counter is None:
                self._counter = _counter_in(_IN_MEMORY)
            return self._counter


def _standing(counter: "Counter", rate: "RateLimitItem", account: str) -> RateStanding:
    stats = counter.get_window_stats(rate, account)
    reset = max(0, ceil(stats.reset_time - time()))
    return RateStanding(rate.amount, rate.get_expiry(), stats.remaining, reset)


# `limits` is imported where it is wanted, as in the settings.


def _parse(rate: str) -> "RateLimitItem":
    from limits import parse  # noqa: PLC0415

    return parse(rate)


def _counter_in(url: str, **options: float) -> "Counter":
    from limits.storage import storage_from_string  # noqa: PLC0415
    from limits.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

    return SlidingWindowCounterRateLimiter(storage_from_string(url, **options))
