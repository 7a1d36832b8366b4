"""Waits for a condition, with a timeout."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_until(
    condition: Callable[[], bool], *, seconds: float = 30.0, every: float = 0.01
) -> None:
    """Returns as soon as `condition()` is true. Fails if that takes longer than `seconds`.

    `every` is how many seconds pass between two looks, for conditions that take time themselves.
    """
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"The condition was not true within {seconds} s."
        sleep(every)
