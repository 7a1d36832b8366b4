"""The cache of credentials: when its entries expire, and how many it holds."""

import pytest

from ccs_server.domain import ttl_cache
from ccs_server.domain.ttl_cache import TTLCache

SECONDS = 2.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The current time of the cache; tests change it."""
    now = [100.0]
    monkeypatch.setattr(ttl_cache, "monotonic", lambda: now[0])
    return now


def test_a_value_is_cached_until_it_expires(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    assert known.get(b"key") is None
    assert known.put(b"key", "value") == "value"
    now[0] += SECONDS - 0.001
    assert known.get(b"key") == "value"
    assert known.get(b"other key") is None
    now[0] += 0.001
    assert known.get(b"key") is None


def test_a_value_is_not_cached_past_its_own_end(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    known.put(b"key", "value", until=now[0] + 1.0)
    now[0] += 0.999
    assert known.get(b"key") == "value"
    now[0] += 0.001
    assert known.get(b"key") is None
    known.put(b"key", "value", until=now[0] + 100)
    now[0] += SECONDS
    assert known.get(b"key") is None


def test_reading_a_value_does_not_renew_it(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    known.put(b"key", "value")
    for _ in range(3):
        now[0] += SECONDS / 3
        known.get(b"key")
    assert known.get(b"key") is None


def test_putting_a_value_again_renews_it(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    known.put(b"key", "old")
    now[0] += 1.5
    known.put(b"key", "new")
    now[0] += 1.5
    assert known.get(b"key") == "new"


@pytest.mark.usefixtures("now")
def test_it_never_exceeds_its_limit() -> None:
    known = TTLCache[int](SECONDS, most=3)
    for number in range(10):
        known.put(b"%d" % number, number)
        assert known.get(b"%d" % number) == number
        assert sum(known.get(b"%d" % earlier) is not None for earlier in range(10)) <= 3


def test_hits_and_misses_are_counted(now: list[float]) -> None:
    known = TTLCache[str](SECONDS)
    assert known.get(b"key") is None
    known.put(b"key", "value")
    assert known.get(b"key") == known.get(b"key") == "value"
    now[0] += SECONDS
    assert known.get(b"key") is None
    assert (known.hits, known.misses) == (2, 2)
