"""The options of both clients, from arguments or the environment, and their checks."""

import os
from typing import Final, TypedDict, TypeVar
from urllib.parse import urlsplit

import requests

from ccs_sdk._deadline import is_number
from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk.errors import ConfigurationError

T = TypeVar("T")

DEFAULT_TIMEOUT: Final = (3.05, 10.0)
DEFAULT_RETRY: Final = RetryPolicy()
DEFAULT_POOL_SIZE: Final = 10
_MAX_TIMEOUT: Final = 86_400  # seconds; sockets store milliseconds in 32 bits


class ClientOptions(TypedDict, total=False):
    """The options of both clients, for functions that pass them on. `ContextClient` describes each."""

    timeout: float | tuple[float, float]
    retry: RetryPolicy | None
    on_retry: OnRetry | None
    pool_size: int
    decimals: bool
    http_session: requests.Session | None


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


def timeouts(timeout: float | tuple[float, float]) -> tuple[float, float]:
    """Returns the pair (connect, read) in seconds, or raises ConfigurationError."""
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    allowed = [is_number(part) and 0 < part <= _MAX_TIMEOUT for part in pair]  # false for NaN
    if allowed != [True, True]:
        raise ConfigurationError(
            "timeout must be a number of seconds, or a pair of them, (connect, read),"
            f" more than 0 and at most {_MAX_TIMEOUT:,}."
        )
    return pair


def retry_policy(retry: object) -> RetryPolicy | None:
    """Returns `retry`, or raises ConfigurationError."""
    hint = "; for three attempts, give RetryPolicy(attempts=3)"
    return None if retry is None else option("retry", retry, RetryPolicy, hint)


def retry_hook(on_retry: OnRetry | None) -> OnRetry | None:
    """Returns `on_retry`, or raises ConfigurationError."""
    if on_retry is not None and not callable(on_retry):
        raise ConfigurationError(
            f"on_retry must be a function of a RetryEvent, not {type(on_retry).__name__}."
        )
    return on_retry


def check_pool_size(pool_size: object) -> int:
    """Returns `pool_size`, or raises ConfigurationError."""
    if type(pool_size) is not int or pool_size < 1:
        raise ConfigurationError("pool_size must be a whole number, 1 or more.")
    return pool_size
