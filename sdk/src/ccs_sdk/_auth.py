"""Credentials as `requests` takes them, none of which shows itself; the cache of v2's tokens."""

import threading
import time
from base64 import b64encode
from collections.abc import Callable

from requests import PreparedRequest
from requests.auth import AuthBase

from ccs_sdk._deadline import Deadline
from ccs_sdk.errors import ConfigurationError
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
    """HTTP Basic with UTF-8 (RFC 7617), for the log-in of v2."""
    pair = b64encode(f"{username}:{password}".encode()).decode()
    return HeaderAuth("Authorization", f"Basic {pair}")


def bearer_auth(token: Token) -> HeaderAuth:
    """The header of every other call of v2."""
    return HeaderAuth("Authorization", f"Bearer {token.value}")


class TokenCache:
    """One token for all threads, fetched when first needed and renewed before it expires.

    It goes by the monotonic clock, which never jumps.
    """

    def __init__(
        self, fetch: Callable[[Deadline], Token], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0

    def current(self, deadline: Deadline) -> Token:
        """The token to send now. While one thread fetches, the others wait for its token."""
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                return self._renewed(deadline)
            return self._token

    def renewed(self, deadline: Deadline) -> Token:
        """A token that is fetched now."""
        with self._lock:
            return self._renewed(deadline)

    def drop(self, refused: Token) -> None:
        """Forgets the token that the service refused, unless another one has taken its place."""
        with self._lock:
            if self._token is refused:
                self._token = None

    def _renewed(self, deadline: Deadline) -> Token:
        asked_at = self._clock()
        token = self._fetch(deadline)
        lifetime = token.expires_in.total_seconds()
        self._token = token
        self._renew_at = asked_at + lifetime - min(_EARLY_SECONDS, lifetime / 10)
        return token
