"""Credentials as headers, with secrets hidden; a token of v2 until it must be renewed."""

from base64 import b64encode
from collections.abc import Callable
from typing import Final, NoReturn

from ccs_sdk.errors import ConfigurationError
from ccs_sdk.models import Token

_EARLY_SECONDS: Final = 60.0


class Credential:
    """The header that proves who sends a request."""

    __slots__ = ("header", "value")

    def __init__(self, header: str, value: str) -> None:
        self.header = header
        self.value = value

    def __repr__(self) -> str:
        return f"<{self.header}: hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A client cannot be pickled: it holds a secret. Create one in each process instead."
        )


def api_key_auth(api_key: str) -> Credential:
    """Returns the header of v1. Raises ConfigurationError if a header cannot contain the key."""
    if not is_header_text(api_key):
        # The error of an HTTP library would show the key.
        raise ConfigurationError("The API key has characters that an HTTP header cannot contain.")
    return Credential("maven-api-key", api_key)


def basic_auth(username: str, password: str) -> Credential:
    """Returns the header for the login of v2: HTTP Basic with UTF-8 (RFC 7617)."""
    try:
        pair = b64encode(f"{username}:{password}".encode()).decode()
    except UnicodeEncodeError:  # contains the password, so it must not be chained
        pair = None
    if pair is None:
        raise ConfigurationError("The username or the password holds a lone surrogate.")
    return Credential("Authorization", f"Basic {pair}")


def bearer_auth(token: Token) -> Credential:
    """Returns the header for all other calls of v2."""
    return Credential("Authorization", f"Bearer {token.value}")


def is_header_text(text: str) -> bool:
    """Returns whether the value of a header can be `text`."""
    return text.isascii() and text.isprintable() and text.strip() == text


class KeptToken:
    """A token until it must be renewed, by a clock that never jumps. It has no lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._token: Token | None = None
        self._renew_at = 0.0

    def current(self) -> Token | None:
        """Returns the token, or None if there is none or it must be renewed."""
        return None if self.clock() >= self._renew_at else self._token

    def keep(self, token: Token, asked_at: float) -> None:
        """Keeps the token that was asked for at a time of the clock."""
        lifetime = token.expires_in.total_seconds()
        self._token = token
        self._renew_at = asked_at + lifetime - min(_EARLY_SECONDS, lifetime / 10)

    def drop(self, refused: Token) -> None:
        """Removes the token unless it is another one."""
        if self._token is refused:
            self._token = None
