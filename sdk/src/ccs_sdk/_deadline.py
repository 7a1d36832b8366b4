"""Seconds, and when the total time of a call is over."""

import time
from dataclasses import dataclass
from typing import Self, TypeGuard


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time by the monotonic clock, in seconds, for all requests of one call."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline that is `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds that are left, perhaps less than none."""
        return self.at - time.monotonic()


def is_number(seconds: object) -> TypeGuard[float]:
    """Whether `seconds` can be a number of seconds: an int or a float, but no bool."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool)
