"""Asserts that a credential ends when it should, however busy the machine is."""

import time
from collections.abc import Callable
from datetime import datetime

# Times on the wire are cut to milliseconds.
_MILLISECOND = 0.001
_LONGEST_SECONDS = 10


def assert_ends(expires_at: str, is_accepted: Callable[[], bool]) -> None:
    """Asserts that requests are accepted until `expires_at`, and not once after.

    Args:
        expires_at: a time in the near future, as the API writes it.
        is_accepted: makes a request, and returns whether it was accepted.
    """
    end = datetime.fromisoformat(expires_at).timestamp()
    accepted = 0
    while True:
        sent = time.time()
        assert sent < end + _LONGEST_SECONDS
        if not is_accepted():
            break
        assert sent < end + _MILLISECOND
        accepted += 1
    assert time.time() >= end
    assert accepted
