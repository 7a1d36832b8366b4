"""Waiting for a condition, with an end."""

from collections.abc import Callable
from time import monotonic, sleep


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Returns as soon as `condition()` is true; fails if that takes longer than `seconds`."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s"
        sleep(0.01)
