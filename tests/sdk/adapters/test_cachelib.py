"""`ContextCache` passes cachelib's own tests, against the real server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pickle import PicklingError
from typing import Any

import pytest

from ccs_sdk import ContextClient, recorded_responses
from ccs_sdk.adapters.cachelib import ContextCache
from tests.sdk.adapters.cachelib_suite import ClearTests, CommonTests, HasTests
from tests.support.clock import Clock
from tests.support.service import Account


@pytest.fixture
def cache(account: Account) -> Iterator[ContextCache]:
    with ContextClient(account.server_url, account.id, api_key=account.key) as client:
        yield ContextCache(client)


class TestCachelibsOwn(CommonTests, HasTests, ClearTests):
    @pytest.fixture(autouse=True)
    def cache_of_the_suite(self, cache: ContextCache) -> None:
        self.cache_factory = lambda: cache


def test_entries_expire(cache: ContextCache, clock: Clock) -> None:
    cache.set("forever", 1, timeout=0)
    cache.set("minute", "x", timeout=60)
    cache.set("default", "x")
    cache.add("added", "x", timeout=60)
    cache.set_many({"a": 1, "b": 2}, timeout=60)
    clock.advance(seconds=60)
    keys = ("forever", "minute", "default", "added", "a", "b")
    assert cache.get_many(*keys) == [1, None, "x", None, None, None]
    clock.advance(seconds=240)
    assert cache.get("default") is None
    assert cache.add("default", "again")


@pytest.mark.parametrize("key", ["a/b", "..", "properties", "🛫 é%2F", "x" * 300, "y" * 300])
def test_any_key_has_its_entry(key: str, cache: ContextCache) -> None:
    cache.set("x" * 299, "other")
    cache.set(key, {"key": key})
    assert cache.get(key) == {"key": key}
    assert cache.has(key)
    assert cache.delete(key)
    assert not cache.delete(key)


def test_integers_are_numbers_and_concurrent_increments_all_count(cache: ContextCache) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(cache.inc, ["count"] * 20))
    assert cache.get("count") == 20
    assert cache.dec("count", 10**30) == 20 - 10**30


def test_many_entries_take_a_request_for_a_hundred(cache: ContextCache) -> None:
    entries = {f"key-{number}": number for number in range(101)}
    with recorded_responses() as responses:
        cache.set_many(entries)
        assert cache.get_dict(*entries) == entries
        cache.delete_many(*entries)
    assert len(responses) == 6


def test_many_large_entries_are_sent_in_parts(cache: ContextCache) -> None:
    entries = {f"key-{number}": "x" * 500_000 for number in range(13)}
    cache.set_many(entries)
    assert cache.get_dict(*entries) == entries


def test_a_value_that_cannot_be_pickled_is_an_error(cache: ContextCache) -> None:
    value: Any = lambda: None  # noqa: E731
    with pytest.raises((PicklingError, AttributeError)):
        cache.set("function", value)
    assert not cache.has("function")
