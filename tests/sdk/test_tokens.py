"""The cache of tokens: one fetch for all threads, renewed in time, dropped when refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ccs_sdk import TimedOutError, Token
from ccs_sdk._auth import TokenCache
from ccs_sdk._deadline import Deadline

DEADLINE = Deadline.after(30)


class Login:
    """Gives numbered tokens, and keeps a clock."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = timedelta(seconds=lifetime)
        self.now = 1_000.0
        self.tokens: list[Token] = []

    def __call__(self, _: Deadline) -> Token:
        self.tokens.append(Token(f"token-{len(self.tokens)}", self.lifetime))
        return self.tokens[-1]

    def cache(self) -> TokenCache:
        return TokenCache(self, lambda: self.now)


@pytest.mark.parametrize(
    ("lifetime", "age", "fetches"),
    [
        (86_400, 86_339, 1),
        (86_400, 86_340, 2),  # a minute early
        (100, 89, 1),
        (100, 90, 2),  # a tenth early, where that is less
    ],
)
def test_a_token_is_renewed_before_it_expires(lifetime: float, age: float, fetches: int) -> None:
    login = Login(lifetime)
    cache = login.cache()
    cache.current(DEADLINE)
    login.now += age
    assert cache.current(DEADLINE) is login.tokens[-1]
    assert len(login.tokens) == fetches


def test_a_refused_token_is_dropped_once() -> None:
    login = Login(100)
    cache = login.cache()
    refused = cache.current(DEADLINE)
    cache.drop(refused)
    fresh = cache.current(DEADLINE)
    assert fresh is not refused
    cache.drop(refused)  # by a thread that was refused with the old one
    assert cache.current(DEADLINE) is fresh


def test_many_threads_wait_for_one_fetch() -> None:
    threads = 8
    together = threading.Barrier(threads)
    login = Login(100)
    cache = login.cache()

    def ask(_: int) -> Token:
        together.wait(timeout=10)
        return cache.current(DEADLINE)

    with ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(ask, range(threads))) == set(login.tokens)
    assert len(login.tokens) == 1


def test_a_failed_fetch_leaves_the_cache_usable() -> None:
    login = Login(100)
    answers = iter([TimedOutError("slow")])

    def fail_once(deadline: Deadline) -> Token:
        for error in answers:
            raise error
        return login(deadline)

    cache = TokenCache(fail_once)
    with pytest.raises(TimedOutError):
        cache.current(DEADLINE)
    assert cache.current(DEADLINE) is login.tokens[0]
