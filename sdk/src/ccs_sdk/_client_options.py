# Generated from aio/_client_options.py by sdk/generate.py. Edit that file.
"""The options of clients as a type, for functions that pass them on."""

from collections.abc import Mapping
from typing import TypedDict

import requests

from ccs_sdk._events import OnRequest, OnResponse
from ccs_sdk._json import Default
from ccs_sdk._retry import OnRetry, RetryPolicy


class ClientOptions(TypedDict, total=False):
    """The options of both clients, for functions that pass them on. `ContextClient` describes each."""

    timeout: float | tuple[float, float]
    retry: RetryPolicy | None
    on_retry: OnRetry | None
    on_request: OnRequest | None
    on_response: OnResponse | None
    pool_size: int
    decimals: bool
    default: Default | None
    user_agent: str | None
    verify: bool | str
    cert: str | tuple[str, str] | None
    proxies: Mapping[str, str] | None
    http_session: requests.Session | None
