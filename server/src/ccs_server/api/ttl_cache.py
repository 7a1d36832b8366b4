"""A memory of a few seconds, so that a credential is looked up seldom and its revocation is noticed soon."""

from time import monotonic
from typing import Generic, TypeVar

Value = TypeVar("Value")


class TTLCache(Generic[Value]):
    """Values by the hash of what they were found for, each for `seconds`; safe to share between threads."""

    def __init__(self, seconds: float, most: int = 10_000) -> None:
        self._seconds = seconds
        self._most = most
        self._known: dict[bytes, tuple[float, Value]] = {}

    def get(self, key: bytes) -> Value | None:
        """The value, unless it is unknown or too old."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > monotonic() else None

    def get_expired(self, key: bytes) -> Value | None:
        """The value that was put last, however old: for what a wrong one does no harm to."""
        known = self._known.get(key)
        return known[1] if known is not None else None

    def put(self, key: bytes, value: Value) -> Value:
        """Keeps the value and returns it."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = monotonic() + self._seconds, value
        return value
