"""Admission: which of the requests that have arrived run now, which wait for their turn, and which are refused.

This module only decides, under a lock. It starts no thread and reads no socket or clock, so that it can be
tested alone; `dispatcher` acts on its decisions.
"""

from collections import deque
from collections.abc import Sequence
from math import inf
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

STANDING_SECONDS = 0.2
"""A queue that has been slow for no longer than this was stalled, by a disk for example; that is no overload."""

MOVING_SECONDS = 0.01
"""Requests make progress if one has ended within this time: ten times what one takes."""

MOST_WAITS = 100_000
"""Waiting times that are kept until `look` returns them."""

LISTINGS = 1
"""Listings of an account that run at once: each may keep a processor of the database busy for a while."""


class Request(Protocol):
    """What admission has to know of a request."""

    @property
    def account(self) -> str:
        """The account of the request, or its address where no account is known."""

    @property
    def is_listing(self) -> bool:
        """Whether it reads many sessions rather than one document."""


R = TypeVar("R", bound=Request)


class Waiting(NamedTuple, Generic[R]):
    """A request in a queue, and when it came there (seconds of a monotonic clock)."""

    request: R
    since: float


class Occupancy(NamedTuple):
    """How many requests run, and how many wait."""

    running: int
    waiting: int


class _Account(Generic[R]):
    """An account with requests that run or wait. There is none for an account without, so their number is bounded."""

    __slots__ = ("listings", "listings_running", "ordinary", "running", "slow_since")

    def __init__(self) -> None:
        self.running = 0
        self.listings_running = 0
        self.ordinary: deque[Waiting[R]] = deque()
        self.listings: deque[Waiting[R]] = deque()
        self.slow_since = inf

    def __len__(self) -> int:
        """How many of its requests wait."""
        return len(self.ordinary) + len(self.listings)

    def runnable(self) -> deque[Waiting[R]] | None:
        """The queue whose first request may run beside those that run: of two, the one that has waited longer."""
        if not self.listings or self.listings_running >= LISTINGS:
            return self.ordinary or None
        if self.ordinary and self.ordinary[0].since < self.listings[0].since:
            return self.ordinary
        return self.listings


class Admission(Generic[R]):
    """Requests of many accounts, of which a few run at once.

    - At most `slots` requests run at once, and at most `share` of one account: one account cannot take every slot.
      Accounts with waiting requests take turns.
    - At most `LISTINGS` listings of one account run at once.
    - A request is refused when it has waited longer than `queue_time` seconds, at least `queue_length` requests of its
      account wait, and this has gone on for `STANDING_SECONDS`. Each condition alone would be wrong: a long queue that
      moves fast is no overload, nor is a slow database with a few clients, nor a moment's stall (as in CoDel, RFC 8289:
      it is the standing queue that counts). Each account has its own queue, so only the account that sends too much is
      refused.

    Safe to share between threads.
    """

    def __init__(self, *, slots: int, share: int, queue_length: int, queue_time: float) -> None:
        self._slots = slots
        self._share = share
        self._queue_length = queue_length
        self._queue_time = queue_time
        self._running = 0
        self._left_at = -inf
        self._accounts: dict[str, _Account[R]] = {}
        # Accounts with waiting requests, in the order of their turns.
        self._turns: deque[_Account[R]] = deque()
        self._waits: deque[float] = deque(maxlen=MOST_WAITS)
        self._lock = Lock()

    def arrive(self, request: R, now: float) -> bool:
        """Takes a request in; returns whether it runs now. If not it waits, and `leave` will return it."""
        with self._lock:
            account = self._accounts.get(request.account)
            if account is None:
                account = self._accounts[request.account] = _Account()
            queue = account.listings if request.is_listing else account.ordinary
            if (
                not queue
                and self._running < self._slots
                and account.running < self._share
                and not (request.is_listing and account.listings_running >= LISTINGS)
            ):
                self._start(account, request)
                return True
            if not account.ordinary and not account.listings:
                self._turns.append(account)
            queue.append(Waiting(request, now))
            return False

    def look(self) -> tuple[Occupancy, list[float]]:
        """How full it is, and the seconds that requests have waited that had to and have begun since the last look."""
        with self._lock:
            waits, self._waits = self._waits, deque(maxlen=MOST_WAITS)
            return Occupancy(self._running, sum(map(len, self._turns))), list(waits)

    def is_moving(self, now: float) -> bool:
        """Whether requests make progress."""
        return now - self._left_at < MOVING_SECONDS

    def leave(self, request: R, now: float) -> tuple[R | None, Sequence[R]]:
        """Notes that a request has ended; returns the one that runs in its place, and those that are refused."""
        with self._lock:
            self._left_at = now
            account = self._accounts[request.account]
            account.running -= 1
            account.listings_running -= request.is_listing
            self._running -= 1
            found, refused = self._next(now) if self._turns else (None, [])
            if not account.running:
                self._forget_if_idle(request.account)
            for each in refused:
                self._forget_if_idle(each.account)
            return found, refused

    def _next(self, now: float) -> tuple[R | None, list[R]]:
        refused: list[R] = []
        for _ in range(len(self._turns)):
            account = self._turns.popleft()
            found = None
            while (
                found is None
                and account.running < self._share
                and (queue := account.runnable()) is not None
            ):
                waiting = queue.popleft()
                waited = now - waiting.since
                if waited <= self._queue_time:
                    account.slow_since = inf
                elif self._is_overloaded(account, now):
                    refused.append(waiting.request)
                    continue
                found = waiting.request
                self._waits.append(waited)
            if account.ordinary or account.listings:
                self._turns.append(account)
            if found is not None:
                self._start(account, found)
                return found, refused
        return None, refused

    def _start(self, account: _Account[R], request: R) -> None:
        account.running += 1
        account.listings_running += request.is_listing
        self._running += 1

    def _forget_if_idle(self, name: str) -> None:
        account = self._accounts.get(name)
        if account is not None and not account.running and not account:
            del self._accounts[name]

    def _is_overloaded(self, account: _Account[R], now: float) -> bool:
        """Whether a request that has just left the account's queue, after more than `queue_time`, is refused."""
        account.slow_since = min(account.slow_since, now)
        return len(account) + 1 > self._queue_length and now - account.slow_since > STANDING_SECONDS
