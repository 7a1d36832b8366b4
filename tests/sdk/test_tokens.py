"""The token cache: one login for all threads, renewal before expiry, removal of refused tokens."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from ccs_sdk import ConnectionFailedError, TimedOutError, Token
from ccs_sdk._tokens import TokenCache
from tests.support.waiting import wait_until

MAX_WAIT = 30.0


class Login:
    """A login that returns numbered tokens, with a movable clock."""

    def __init__(self, lifetime: float) -> None:
        self.lifetime = timedelta(seconds=lifetime)
        self.now = 1_000.0
        self.tokens: list[Token] = []
        self.cache = TokenCache(lambda: self.now)

    def __call__(self) -> Token:
        self.tokens.append(Token(f"token-{len(self.tokens)}", self.lifetime))
        return self.tokens[-1]

    def current(self) -> Token:
        return self.cache.current() or self.cache.renew(self, MAX_WAIT)


@pytest.mark.parametrize(
    ("lifetime", "age", "logins"),
    [
        (86_400, 86_339, 1),
        (86_400, 86_340, 2),  # a minute early
        (100, 89, 1),
        (100, 90, 2),  # a tenth early, if that is less
    ],
)
def test_a_token_is_renewed_before_it_expires(lifetime: float, age: float, logins: int) -> None:
    login = Login(lifetime)
    login.current()
    login.now += age
    assert login.current() is login.tokens[-1]
    assert len(login.tokens) == logins


def test_renew_returns_a_current_token_unless_always_is_set() -> None:
    login = Login(100)
    assert login.cache.current() is None
    token = login.current()
    assert login.cache.renew(login, MAX_WAIT) is token
    assert login.cache.renew(login, MAX_WAIT, always=True) is login.tokens[1]


def test_a_refused_token_is_dropped_once() -> None:
    login = Login(100)
    refused = login.current()
    login.cache.drop(refused)
    fresh = login.current()
    assert fresh is not refused
    login.cache.drop(refused)  # by a thread that was refused with the old token
    assert login.current() is fresh


def test_a_failed_login_leaves_the_cache_usable() -> None:
    login = Login(100)

    def fail() -> Token:
        raise TimedOutError("slow")

    with pytest.raises(TimedOutError):
        login.cache.renew(fail, MAX_WAIT)
    assert login.current() is login.tokens[0]


class SlowLogin:
    """A login that ends when the given number of threads wait for it."""

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
    """Returns the futures of a thread that logs in and of the threads that wait for it."""
    with ThreadPoolExecutor(threads) as pool:
        leader = pool.submit(cache.renew, login, MAX_WAIT)
        assert login.begun.wait(10)
        return [leader, *(pool.submit(cache.renew, login, MAX_WAIT) for _ in range(threads - 1))]


def test_many_threads_wait_for_one_login() -> None:
    cache = TokenCache()
    login = SlowLogin(cache, 7, Token("token", timedelta(days=1)))
    tokens = {future.result() for future in _log_in_together(login, cache, 8)}
    assert tokens == {cache.current()}
    assert login.times == 1


def test_a_failed_login_fails_for_all_threads_that_waited() -> None:
    cache = TokenCache()
    login = SlowLogin(cache, 7, TimedOutError("slow", request_id="r-1"))
    errors = [future.exception() for future in _log_in_together(login, cache, 8)]
    assert {str(error) for error in errors} == {"slow (request id r-1)"}
    assert len({id(error) for error in errors}) == 8  # each has its own traceback
    assert login.times == 1


def test_an_interrupted_login_is_retryable_for_the_waiting_threads() -> None:
    cache = TokenCache()
    leader, other = _log_in_together(SlowLogin(cache, 1, KeyboardInterrupt()), cache, 2)
    assert isinstance(leader.exception(), KeyboardInterrupt)
    assert isinstance(other.exception(), ConnectionFailedError)
    fresh = Login(100)
    assert cache.renew(fresh, MAX_WAIT) is fresh.tokens[0]


def test_a_thread_waits_for_another_login_only_for_max_wait() -> None:
    cache = TokenCache()
    token = Token("token", timedelta(days=1))
    begun, may_end = threading.Event(), threading.Event()

    def log_in() -> Token:
        begun.set()
        assert may_end.wait(10)
        return token

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(cache.renew, log_in, MAX_WAIT)
        assert begun.wait(10)
        with pytest.raises(TimedOutError, match="took longer than the timeout"):
            cache.renew(log_in, 0.01)
        may_end.set()
        assert leader.result() is token
    assert cache.current() is token
