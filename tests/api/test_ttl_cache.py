"""The cache of credentials: how long it knows what, and how much."""

import pytest

from ccs_server.api import ttl_cache
from ccs_server.api.ttl_cache import TTLCache

SECONDS = 2.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the memory sees; tests move it."""
    now = [100.0]
    monkeypatch.setattr(ttl_cache, "monotonic", lambda: now[0])
    return now


def test_a_value_is_known_until_its_time_is_over(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    assert known.get(b"key") is None
    assert known.put(b"key", "value") == "value"
    now[0] += SECONDS - 0.001
    assert known.get(b"key") == "value"
    assert known.get(b"other key") is None
    now[0] += 0.001
    assert known.get(b"key") is None


def test_a_value_that_is_read_does_not_live_longer(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    known.put(b"key", "value")
    for _ in range(3):
        now[0] += SECONDS / 3
        known.get(b"key")
    assert known.get(b"key") is None


def test_a_value_that_is_put_again_counts_from_then(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    known.put(b"key", "old")
    now[0] += 1.5
    known.put(b"key", "new")
    now[0] += 1.5
    assert known.get(b"key") == "new"


@pytest.mark.usefixtures("now")
def test_it_never_holds_more_than_its_limit() -> None:
    known = TTLCache[int](SECONDS, most=3)
    for number in range(10):
        known.put(b"%d" % number, number)
        assert known.get(b"%d" % number) == number
        assert sum(known.get(b"%d" % earlier) is not None for earlier in range(10)) <= 3
