"""The cache of tokens: one login for all threads, renewed in time, dropped when refused."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from ccs_sdk import ConnectionFailedError, TimedOutError, Token
from ccs_sdk._auth import TokenCache
from tests.support.waiting import wait_until

PATIENCE = 30.0


class Login:
    """Gives numbered tokens, and keeps a clock."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = timedelta(seconds=lifetime)
        self.now = 1_000.0
        self.tokens: list[Token] = []
        self.cache = TokenCache(lambda: self.now)

    def __call__(self) -> Token:
        self.tokens.append(Token(f"token-{len(self.tokens)}", self.lifetime))
        return self.tokens[-1]

    def current(self) -> Token:
        return self.cache.current() or self.cache.renewed(self, PATIENCE)


@pytest.mark.parametrize(
    ("lifetime", "age", "logins"),
    [
        (86_400, 86_339, 1),
        (86_400, 86_340, 2),  # a minute early
        (100, 89, 1),
        (100, 90, 2),  # a tenth early, where that is less
    ],
)
def test_a_token_is_renewed_before_it_expires(lifetime: float, age: float, logins: int) -> None:
    login = Login(lifetime)
    login.current()
    login.now += age
    assert login.current() is login.tokens[-1]
    assert len(login.tokens) == logins


def test_a_token_that_came_meanwhile_is_taken_unless_a_new_one_is_asked_for() -> None:
    login = Login(100)
    assert login.cache.current() is None
    token = login.current()
    assert login.cache.renewed(login, PATIENCE) is token
    assert login.cache.renewed(login, PATIENCE, always=True) is login.tokens[1]


def test_a_refused_token_is_dropped_once() -> None:
    login = Login(100)
    refused = login.current()
    login.cache.drop(refused)
    fresh = login.current()
    assert fresh is not refused
    login.cache.drop(refused)  # by a thread that was refused with the old one
    assert login.current() is fresh


def test_a_failed_login_leaves_the_cache_usable() -> None:
    login = Login(100)

    def fail() -> Token:
        raise TimedOutError("slow")

    with pytest.raises(TimedOutError):
        login.cache.renewed(fail, PATIENCE)
    assert login.current() is login.tokens[0]


class SlowLogin:
    """A login that ends when all the threads that shall wait for it do so."""

    def __init__(self, cache: TokenCache, waiting: int, outcome: Token | BaseException) -> None:
        self.begun = threading.Event()
        self.times = 0
        self._cache = cache
        self._waiting = waiting
        self._outcome = outcome

    def __call__(self) -> Token:
        self.times += 1
        self.begun.set()
        login: Future[Token] = vars(self._cache)["_login"]
        waiters: list[object] = vars(login._condition)["_waiters"]
        wait_until(lambda: len(waiters) == self._waiting)
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def _log_in_together(login: SlowLogin, cache: TokenCache, threads: int) -> "list[Future[Token]]":
    """What comes of a thread that logs in, and of those that wait for it."""
    with ThreadPoolExecutor(threads) as pool:
        leader = pool.submit(cache.renewed, login, PATIENCE)
        assert login.begun.wait(10)
        return [leader, *(pool.submit(cache.renewed, login, PATIENCE) for _ in range(threads - 1))]


def test_many_threads_wait_for_one_login() -> None:
    cache = TokenCache()
    login = SlowLogin(cache, 7, Token("token", timedelta(days=1)))
    tokens = {future.result() for future in _log_in_together(login, cache, 8)}
    assert tokens == {cache.current()}
    assert login.times == 1


def test_a_failed_login_fails_for_all_who_waited_for_it() -> None:
    cache = TokenCache()
    login = SlowLogin(cache, 7, TimedOutError("slow", request_id="r-1"))
    errors = [future.exception() for future in _log_in_together(login, cache, 8)]
    assert {str(error) for error in errors} == {"slow (request id r-1)"}
    assert len({id(error) for error in errors}) == 8  # each has a traceback of its own
    assert login.times == 1


def test_an_interrupted_login_fails_for_the_others_as_one_that_may_pass() -> None:
    cache = TokenCache()
    leader, other = _log_in_together(SlowLogin(cache, 1, KeyboardInterrupt()), cache, 2)
    assert isinstance(leader.exception(), KeyboardInterrupt)
    assert isinstance(other.exception(), ConnectionFailedError)
    fresh = Login(100)
    assert cache.renewed(fresh, PATIENCE) is fresh.tokens[0]


def test_a_thread_waits_for_another_login_only_as_long_as_it_is_patient() -> None:
    cache = TokenCache()
    token = Token("token", timedelta(days=1))
    begun, may_end = threading.Event(), threading.Event()

    def log_in() -> Token:
        begun.set()
        assert may_end.wait(10)
        return token

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(cache.renewed, log_in, PATIENCE)
        assert begun.wait(10)
        with pytest.raises(TimedOutError, match="took longer than the timeout"):
            cache.renewed(log_in, 0.01)
        may_end.set()
        assert leader.result() is token
    assert cache.current() is token
