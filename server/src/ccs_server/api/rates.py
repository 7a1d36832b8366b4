"""How many requests an account may make: off unless CCS_RATE_LIMIT is set."""

import logging
from time import monotonic, time
from typing import TYPE_CHECKING, Self

from ccs_server.domain.errors import TooManyRequests
from ccs_server.settings import SettingError, Settings

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter as Counter

_log = logging.getLogger("ccs.rates")

_IN_MEMORY = "memory://"

# A storage that is away must not take the service with it: each try is short, and the next one waits.
_TIMEOUTS = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
_PAUSE_SECONDS = 5.0


class RateLimiter:
    """Counts the requests of accounts, in a storage that instances share or, in memory, for this process alone."""

    def __init__(self, rate: "RateLimitItem", counter: "Counter") -> None:
        self._rate = rate
        self._counter = counter
        self._paused_until = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The limiter that the settings ask for, if they do.

        Raises:
            SettingError: there is no such storage.
        """
        if settings.rate_limit is None:
            return None
        # Imported where it is wanted, as in the settings.
        from limits import parse  # noqa: PLC0415
        from limits.storage import storage_from_string  # noqa: PLC0415
        from limits.strategies import SlidingWindowCounterRateLimiter  # noqa: PLC0415

        url = settings.rate_limit_storage or _IN_MEMORY
        options = {} if url == _IN_MEMORY else _TIMEOUTS
        try:
            storage = storage_from_string(url, **options)
            counter = SlidingWindowCounterRateLimiter(storage)
            return cls(parse(settings.rate_limit), counter)
        except Exception as error:
            raise SettingError(
                "CCS_RATE_LIMIT_STORAGE must be the URL of a Redis, such as redis://localhost:6379, "
                "and the package 'redis' installed."
            ) from error

    def count(self, account: str) -> None:
        """Counts a request of the account.

        Raises:
            TooManyRequests: it is one too many.
        """
        if self._paused_until > monotonic():
            return
        try:
            if self._counter.hit(self._rate, account):
                return
            reset = self._counter.get_window_stats(self._rate, account).reset_time
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            self._paused_until = monotonic() + _PAUSE_SECONDS
            _log.warning("Rates are not limited now: the storage fails (%s).", type(error).__name__)
            return
        raise TooManyRequests(
            f"The account is over its rate of {self._rate}; slow down.",
            retry_after=max(1, round(reset - time())),
        )
