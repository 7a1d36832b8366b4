"""What both clients take, from arguments or the environment, checked before anything is sent."""

import os
from typing import TypedDict
from urllib.parse import urlsplit

import requests

from ccs_sdk._retry import OnRetry, RetryPolicy
from ccs_sdk.errors import ConfigurationError


class ClientOptions(TypedDict, total=False):
    """The options of both clients; all may be left out.

    Attributes:
        timeout: Seconds to wait for a connection and then for each part of the answer: one number
            for both, or a pair `(connect, read)`. Default `(3.05, 10.0)`.
        retry: When to try again, see `RetryPolicy`; None never retries.
        on_retry: Called with a `RetryEvent` before each retry, for logs and metrics.
        pool_size: How many connections are kept open; give it the number of threads that share the
            client. Default 10. More threads still work, with connections that are closed after use.
        decimals: Read numbers with a point or an exponent as `decimal.Decimal`, to their last
            digit. Default False: as floats.
        http_session: A `requests.Session` to send with, for proxies, certificates or tests. It
            stays yours: its own retries and pool are as you set them, and `close()` leaves it open.
    """

    timeout: float | tuple[float, float]
    retry: RetryPolicy | None
    on_retry: OnRetry | None
    pool_size: int
    decimals: bool
    http_session: requests.Session | None


def setting(argument: str | None, name: str, variable: str) -> str:
    """The argument `name`, else the environment's `variable`, else ConfigurationError."""
    value = os.environ.get(variable) if argument is None else argument
    if not value:
        raise ConfigurationError(f"Give {name}, or set {variable}.")
    return value


def check_base_url(url: str) -> str:
    """The URL, normalised and without a trailing slash, or ConfigurationError."""
    try:
        parts = urlsplit(url)
        normal = requests.Request("GET", url).prepare().url or ""
    except ValueError:  # InvalidURL and its like are ValueErrors, too
        usable, normal = False, ""
    else:
        usable = parts.scheme in {"http", "https"} and not (parts.query or parts.fragment)
        if parts.username is not None:
            raise ConfigurationError("base_url must hold no credentials; give them as arguments.")
    if not usable:
        raise ConfigurationError(
            "base_url must look like https://context.example.com, with no query and no fragment."
        )
    return normal.rstrip("/")


def timeouts(timeout: float | tuple[float, float]) -> tuple[float, float]:
    """The pair (connect, read) in seconds, or ConfigurationError."""
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if not all(seconds > 0 for seconds in pair):  # NaN is not, either
        raise ConfigurationError("timeout must be more than 0 seconds.")
    return pair
