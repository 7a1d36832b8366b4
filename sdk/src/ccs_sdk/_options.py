"""The options of all clients, from arguments or the environment, and their checks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import requests

from ccs_sdk._auth import is_header_text
from ccs_sdk._deadline import is_number
from ccs_sdk._events import OnRequest, OnResponse
from ccs_sdk._json import Default
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk._version import __version__
from ccs_sdk.errors import ConfigurationError

T = TypeVar("T")

DEFAULT_TIMEOUT: Final = (3.05, 10.0)
DEFAULT_RETRY: Final = RetryPolicy()
DEFAULT_POOL_SIZE: Final = 10
_MAX_TIMEOUT: Final = 86_400  # seconds; sockets store milliseconds in 32 bits
_NO_RETRY: Final = RetryPolicy(attempts=1, total_time=float("inf"))

Timeout: TypeAlias = float | tuple[float, float]
"""Seconds for both the connection and each part of the response, or a pair of them."""

Cert: TypeAlias = str | tuple[str, str]
"""The file of a client certificate with its key, or the two files."""


class Unchanged:
    """The default of an option that `with_options` leaves as it is."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """How calls are made, whatever sends them."""

    timeouts: tuple[float, float]
    policy: RetryPolicy
    on_retry: OnRetry | None
    on_request: OnRequest | None
    on_response: OnResponse | None
    decimals: bool
    default: Default | None
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Connecting:
    """How connections are made."""

    base_url: str
    pool_size: int
    verify: bool | str
    cert: Cert | None
    proxies: Mapping[str, str]

    @property
    def secures(self) -> bool:
        """Whether anything but the defaults is given that a session of one's own has too."""
        return self.verify is not True or self.cert is not None or bool(self.proxies)


def call_options(  # noqa: PLR0913 - every option is written out
    *,
    timeout: Timeout,
    retry: RetryPolicy | None,
    on_retry: OnRetry | None,
    on_request: OnRequest | None,
    on_response: OnResponse | None,
    decimals: bool,
    default: Default | None,
    user_agent: str | None,
) -> Options:
    """Returns the options of a client, checked, or raises ConfigurationError."""
    return Options(
        timeouts=timeouts(timeout),
        policy=retry_policy(retry),
        on_retry=_function("on_retry", on_retry, "a RetryEvent"),
        on_request=_function("on_request", on_request, "a RequestEvent"),
        on_response=_function("on_response", on_response, "a ResponseEvent"),
        decimals=option("decimals", decimals, bool),
        default=_function("default", default, "a value that JSON does not know"),
        user_agent=_user_agent(user_agent),
    )


def connecting(
    base_url: str,
    *,
    pool_size: int,
    verify: bool | str,
    cert: Cert | None,
    proxies: Mapping[str, str] | None,
) -> Connecting:
    """Returns how a client connects, checked, or raises ConfigurationError."""
    return Connecting(
        base_url=check_base_url(base_url),
        pool_size=check_pool_size(pool_size),
        verify=_check_verify(verify),
        cert=_check_cert(cert),
        proxies=_check_proxies(proxies),
    )


def changes(timeout: Timeout | Unchanged, retry: RetryPolicy | Unchanged | None) -> dict[str, Any]:
    """Returns the members of `Options` that `with_options` changes, or raises ConfigurationError."""
    changed: dict[str, Any] = {}
    if not isinstance(timeout, Unchanged):
        changed["timeouts"] = timeouts(timeout)
    if not isinstance(retry, Unchanged):
        changed["policy"] = retry_policy(retry)
    return changed


def setting(argument: str | None, name: str, variable: str) -> str:
    """Returns the argument, or the environment variable, or raises ConfigurationError."""
    value = os.environ.get(variable) if argument is None else argument
    if not value:
        raise ConfigurationError(f"Give {name}, or set {variable}.")
    return option(name, value, str)


def option(name: str, value: object, kind: type[T], hint: str = "") -> T:
    """Returns `value` if it is a `kind`, or raises ConfigurationError, without the value in it."""
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} must be a {kind.__name__}, not {type(value).__name__}{hint}."
        )
    return value


def check_base_url(url: str) -> str:
    """Returns the URL, normalised and without a trailing slash, or raises ConfigurationError."""
    try:
        parts = urlsplit(url)
        normal = requests.Request("GET", url).prepare().url or ""
    except ValueError:  # InvalidURL and similar errors are ValueErrors too
        usable, normal = False, ""
    else:
        usable = parts.scheme in {"http", "https"} and not (parts.query or parts.fragment)
        if parts.username is not None:
            raise ConfigurationError(
                "base_url must not contain credentials; give them as arguments."
            )
    if not usable:
        raise ConfigurationError(
            "base_url must look like https://context.example.com, with no query and no fragment."
        )
    return normal.rstrip("/")


def timeouts(timeout: Timeout) -> tuple[float, float]:
    """Returns the pair (connect, read) in seconds, or raises ConfigurationError."""
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    allowed = [is_number(part) and 0 < part <= _MAX_TIMEOUT for part in pair]  # false for NaN
    if allowed != [True, True]:
        raise ConfigurationError(
            "timeout must be a number of seconds, or a pair of them, (connect, read),"
            f" more than 0 and at most {_MAX_TIMEOUT:,}."
        )
    return pair


def retry_policy(retry: object) -> RetryPolicy:
    """Returns the policy, that of one attempt for None, or raises ConfigurationError."""
    hint = "; for three attempts, give RetryPolicy(attempts=3)"
    return _NO_RETRY if retry is None else option("retry", retry, RetryPolicy, hint)


def check_pool_size(pool_size: object) -> int:
    """Returns `pool_size`, or raises ConfigurationError."""
    if type(pool_size) is not int or pool_size < 1:
        raise ConfigurationError("pool_size must be a whole number, 1 or more.")
    return pool_size


def _function(name: str, function: T, argument: str) -> T:
    if function is not None and not callable(function):
        raise ConfigurationError(
            f"{name} must be a function of {argument}, not {type(function).__name__}."
        )
    return function


def _user_agent(suffix: object) -> str:
    ours = f"ccs-sdk/{__version__}"
    if suffix is None:
        return ours
    text = option("user_agent", suffix, str)
    if not text or not is_header_text(text):
        raise ConfigurationError(
            "user_agent must be printable ASCII, for example 'airline-bot/1.2'."
        )
    return f"{ours} {text}"


def _check_verify(verify: object) -> bool | str:
    if not isinstance(verify, bool | str):
        raise ConfigurationError(
            f"verify must be True, False or the file of a CA bundle, not {type(verify).__name__}."
        )
    return verify


def _check_cert(cert: Cert | None) -> Cert | None:
    parts: tuple[object, ...] = cert if isinstance(cert, tuple) else (cert, cert)
    if cert is None or (len(parts) == 2 and all(isinstance(part, str) for part in parts)):  # noqa: PLR2004
        return cert
    raise ConfigurationError(
        "cert must be the file of a certificate and its key, or a pair (certificate, key)."
    )


def _check_proxies(proxies: Mapping[str, str] | None) -> Mapping[str, str]:
    given: Mapping[str, str] = {} if proxies is None else proxies
    if not isinstance(given, Mapping) or not given.keys() <= {"http", "https", "all"}:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            "proxies must be a mapping with the keys 'http', 'https' and 'all', or some of them."
        )
    return {scheme: option(f"The proxy for {scheme}", url, str) for scheme, url in given.items()}
