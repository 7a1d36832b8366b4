"""The cache of v2 tokens, for threads."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy

from ccs_sdk._auth import KeptToken
from ccs_sdk.errors import CCSError, ConnectionFailedError, TimedOutError
from ccs_sdk.models import Token


class TokenCache:
    """One token for all threads, fetched when first needed and renewed before it expires.

    One thread logs in, and the others wait for its result.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()  # never held during a login
        self._kept = KeptToken(clock)
        self._login: Future[Token] | None = None

    def current(self) -> Token | None:
        """Returns the token to send, or None if there is none or it must be renewed."""
        with self._lock:
            return self._kept.current()

    def renew(self, log_in: Callable[[], Token], max_wait: float, *, always: bool = False) -> Token:
        """Returns the current token, or that of a login in progress, or logs in.

        A failed login fails for all threads that waited for it. Each thread then retries by its
        own policy, so that no thread waits for the attempts of others in turn.

        Args:
            log_in: Requests a token from the service, in one attempt.
            max_wait: Seconds to wait for another thread's login.
            always: Whether to log in even if there is a current token.

        Raises:
            CCSError: The login failed.
            TimedOutError: Another thread's login took longer than `max_wait`.
        """
        with self._lock:
            token = None if always else self._kept.current()
            if token is not None:
                return token
            waits = self._login is not None
            login = self._login = self._login or Future()
        return _result(login, max_wait) if waits else self._log_in(login, log_in)

    def drop(self, refused: Token) -> None:
        """Removes the token that the service refused, unless it was replaced meanwhile."""
        with self._lock:
            self._kept.drop(refused)

    def _log_in(self, login: "Future[Token]", log_in: Callable[[], Token]) -> Token:
        asked_at = self._kept.clock()
        try:
            token = log_in()
        except BaseException as error:
            with self._lock:
                self._login = None
            interrupted = ConnectionFailedError("The login was interrupted.")
            login.set_exception(copy(error) if isinstance(error, CCSError) else interrupted)
            raise
        with self._lock:
            self._login = None
            self._kept.keep(token, asked_at)
        login.set_result(token)
        return token


def _result(attempt: "Future[Token]", max_wait: float) -> Token:
    try:
        failure = attempt.exception(max_wait)
    except TimeoutError:
        failure = TimedOutError("The login of another thread took longer than the timeout.")
    if failure is not None:
        raise copy(failure)  # each thread adds its own traceback
    return attempt.result()
