"""A cache of a few seconds: what is looked up for each request is read seldom, and a change takes effect soon."""

from collections.abc import Hashable
from math import inf
from time import monotonic
from typing import Generic, TypeVar

Value = TypeVar("Value")


class TTLCache(Generic[Value]):
    """Values by a key, each kept for `seconds`. Safe to share between threads.

    Attributes:
        hits: how often a value was found.
        misses: how often none was. Both are for metrics: two threads that count at the same instant may count once.
    """

    def __init__(self, seconds: float, most: int = 10_000) -> None:
        self._seconds = seconds
        self._most = most
        self._known: dict[Hashable, tuple[float, Value]] = {}
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> Value | None:
        """The value, unless it is unknown or too old."""
        known = self._known.get(key)
        if known is not None and known[0] > monotonic():
            self.hits += 1
            return known[1]
        self.misses += 1
        return None

    def get_expired(self, key: Hashable) -> Value | None:
        """The value, even if it is too old; for uses where an outdated one does no harm."""
        known = self._known.get(key)
        return known[1] if known is not None else None

    def put(self, key: Hashable, value: Value, until: float = inf) -> Value:
        """Keeps the value, until a time of the monotonic clock at the longest, and returns it."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = min(monotonic() + self._seconds, until), value
        return value

    def drop(self, key: Hashable) -> None:
        """Forgets the value, if it is known."""
        self._known.pop(key, None)
