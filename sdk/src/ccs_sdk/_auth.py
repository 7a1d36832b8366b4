"""Credentials as `requests` takes them, none of which shows itself; the cache of v2's tokens."""

import threading
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from typing import NoReturn

from requests import PreparedRequest
from requests.auth import AuthBase

from ccs_sdk.errors import CCSError, ConfigurationError, ConnectionFailedError, TimedOutError
from ccs_sdk.models import Token

_EARLY_SECONDS = 60.0


class HeaderAuth(AuthBase):
    """Sends one header. As the request's `auth` it also keeps a netrc file from overwriting it."""

    __slots__ = ("_header", "_value")

    def __init__(self, header: str, value: str) -> None:
        self._header = header
        self._value = value

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[self._header] = self._value
        return request

    def __repr__(self) -> str:
        return f"<{self._header}: hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A client cannot be pickled: it holds a secret. Make one in each process instead."
        )


class NoAuth(AuthBase):
    """Proves nothing, for what is public; a netrc file does not come into it, either."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


def api_key_auth(api_key: str) -> HeaderAuth:
    """The header of v1. Raises ConfigurationError if a header cannot carry the key."""
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key):
        # Said here, without the key: the sentence of `requests` would show it.
        raise ConfigurationError("The API key has characters that an HTTP header cannot carry.")
    return HeaderAuth("maven-api-key", api_key)


def basic_auth(username: str, password: str) -> HeaderAuth:
    """HTTP Basic with UTF-8 (RFC 7617), for the login of v2."""
    try:
        pair = b64encode(f"{username}:{password}".encode()).decode()
    except UnicodeEncodeError:  # which holds the password
        pair = None
    if pair is None:
        raise ConfigurationError("The username or the password holds a lone surrogate.")
    return HeaderAuth("Authorization", f"Basic {pair}")


def bearer_auth(token: Token) -> HeaderAuth:
    """The header of every other call of v2."""
    return HeaderAuth("Authorization", f"Bearer {token.value}")


class TokenCache:
    """One token for all threads, fetched when first needed and renewed before it expires.

    One thread logs in, and the others wait for what comes of it. It goes by the monotonic clock,
    which never jumps.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # never held during a login
        self._login: Future[Token] | None = None
        self._token: Token | None = None
        self._renew_at = 0.0

    def current(self) -> Token | None:
        """The token to send now; None if there is none, or it is to be renewed."""
        with self._lock:
            return self._current()

    def renewed(
        self, log_in: Callable[[], Token], patience: float, *, always: bool = False
    ) -> Token:
        """The current token, else that of the login under way, else of `log_in`, which is one attempt.

        A failed attempt fails for every thread that waited for it. Each thread then retries by its
        own policy, so that none waits for the attempts of others one after another.

        Args:
            log_in: Asks the service for a token, once.
            patience: Seconds to wait for another thread's login.
            always: Do not take the current token.

        Raises:
            CCSError: The login failed.
            TimedOutError: Another thread's login took longer than `patience`.
        """
        with self._lock:
            token = None if always else self._current()
            if token is not None:
                return token
            waits = self._login is not None
            login = self._login = self._login or Future()
        return _outcome(login, patience) if waits else self._lead(login, log_in)

    def drop(self, refused: Token) -> None:
        """Forgets the token that the service refused, unless another one has taken its place."""
        with self._lock:
            if self._token is refused:
                self._token = None

    def _current(self) -> Token | None:
        return None if self._clock() >= self._renew_at else self._token

    def _lead(self, login: "Future[Token]", log_in: Callable[[], Token]) -> Token:
        asked_at = self._clock()
        try:
            token = log_in()
        except BaseException as error:
            with self._lock:
                self._login = None
            interrupted = ConnectionFailedError("The login was interrupted.")
            login.set_exception(copy(error) if isinstance(error, CCSError) else interrupted)
            raise
        lifetime = token.expires_in.total_seconds()
        with self._lock:
            self._login = None
            self._token = token
            self._renew_at = asked_at + lifetime - min(_EARLY_SECONDS, lifetime / 10)
        login.set_result(token)
        return token


def _outcome(attempt: "Future[Token]", patience: float) -> Token:
    try:
        failure = attempt.exception(patience)
    except TimeoutError:
        failure = TimedOutError("The login of another thread took longer than the timeout.")
    if failure is not None:
        raise copy(failure)  # each thread adds its own traceback
    return attempt.result()
