"""The cache of v2 tokens, for the tasks of one event loop."""

import time
from collections.abc import Awaitable, Callable
from copy import copy

import anyio

from ccs_sdk._auth import KeptToken
from ccs_sdk.errors import CCSError, ConnectionFailedError, TimedOutError
from ccs_sdk.models import Token


class AsyncTokenCache:
    """One token for all tasks, fetched when first needed and renewed before it expires.

    One task logs in, and the others wait for its result.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept = KeptToken(clock)
        self._login: _Login | None = None

    def current(self) -> Token | None:
        """Returns the token to send, or None if there is none or it must be renewed."""
        return self._kept.current()

    async def renew(
        self, log_in: Callable[[], Awaitable[Token]], max_wait: float, *, always: bool = False
    ) -> Token:
        """Returns the current token, or that of a login in progress, or logs in.

        A failed login fails for all tasks that waited for it. Each task then retries by its own policy.

        Args:
            log_in: Requests a token from the service, in one attempt.
            max_wait: Seconds to wait for another task's login.
            always: Whether to log in even if there is a current token.

        Raises:
            CCSError: The login failed.
            TimedOutError: Another task's login took longer than `max_wait`.
        """
        token = None if always else self.current()
        if token is not None:
            return token
        if self._login is not None:
            return await self._login.result(max_wait)
        self._login = _Login()
        return await self._log_in(self._login, log_in)

    def drop(self, refused: Token) -> None:
        """Removes the token that the service refused, unless it was replaced meanwhile."""
        self._kept.drop(refused)

    async def _log_in(self, login: "_Login", log_in: Callable[[], Awaitable[Token]]) -> Token:
        asked_at = self._kept.clock()
        try:
            token = await log_in()
        except BaseException as error:
            interrupted = ConnectionFailedError("The login was interrupted.")
            login.end(copy(error) if isinstance(error, CCSError) else interrupted)
            raise
        finally:
            self._login = None
        self._kept.keep(token, asked_at)
        login.end(token)
        return token


class _Login:
    """A login in progress."""

    def __init__(self) -> None:
        self._ended = anyio.Event()
        self._outcome: Token | CCSError = TimedOutError(
            "The login of another task took longer than the timeout."
        )

    def end(self, outcome: Token | CCSError) -> None:
        self._outcome = outcome
        self._ended.set()

    async def result(self, max_wait: float) -> Token:
        with anyio.move_on_after(max_wait):
            await self._ended.wait()
        if isinstance(self._outcome, CCSError):
            raise copy(self._outcome)  # each task adds its own traceback
        return self._outcome
