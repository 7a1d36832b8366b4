"""Deadlines of calls, and the check of arguments in seconds."""

import time
from dataclasses import dataclass
from typing import Self, TypeGuard


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which all requests of a call must end, in seconds of the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Returns the deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Returns the seconds left; negative after the deadline."""
        return self.at - time.monotonic()


def is_number(seconds: object) -> TypeGuard[float]:
    """Returns whether `seconds` is an int or a float, and not a bool."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool)
