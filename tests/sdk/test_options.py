"""Settings come from arguments or the environment, and are checked when a client is built."""

import math

import pytest
import requests

from ccs_sdk import ClientOptions, ConfigurationError, ContextClient, DocumentClient
from ccs_sdk._options import check_base_url, timeouts

KEY = "v3ry-s3cret"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("HTTPS://Context.Example.com/ccs/", "https://context.example.com/ccs"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_base_urls(given: str, used: str) -> None:
    assert check_base_url(given) == used


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "//localhost",
        "ftp://localhost",
        "http://",
        "http://localhost:port",
        "http://localhost?x=1",
        "http://localhost#x",
        "http://user:v3ry-s3cret@localhost",
        "https://[::1",
    ],
)
def test_a_base_url_that_cannot_work_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as refused:
        check_base_url(url)
    assert KEY not in str(refused.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCS_URL", "http://from-environment")
    monkeypatch.setenv("CCS_ACCOUNT", "acme")
    monkeypatch.setenv("CCS_API_KEY", KEY)
    monkeypatch.setenv("CCS_USERNAME", "anna")
    monkeypatch.setenv("CCS_PASSWORD", KEY)
    assert repr(ContextClient()) == "ContextClient('http://from-environment', 'acme')"
    assert repr(DocumentClient()) == "DocumentClient('http://from-environment', 'acme')"
    assert repr(ContextClient("http://given", "other")) == "ContextClient('http://given', 'other')"


@pytest.mark.parametrize(
    ("missing", "argument"),
    [("CCS_URL", "base_url"), ("CCS_ACCOUNT", "account_id"), ("CCS_API_KEY", "api_key")],
)
def test_a_missing_setting_is_named(
    missing: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CCS_URL", "CCS_ACCOUNT", "CCS_API_KEY"):
        monkeypatch.setenv(name, "http://x" if name == "CCS_URL" else "acme")
    monkeypatch.delenv(missing)
    with pytest.raises(ConfigurationError) as refused:
        ContextClient()
    assert refused.value.message == f"Give {argument}, or set {missing}."


@pytest.mark.parametrize("key", ["line\nbreak", "ключ", " padded", "tab\t", "\x7f"])
def test_a_key_that_no_header_carries_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ContextClient("http://x", "acme", api_key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize(("timeout", "pair"), [(2.5, (2.5, 2.5)), ((1, 9.0), (1, 9.0))])
def test_timeouts(timeout: float | tuple[float, float], pair: tuple[float, float]) -> None:
    assert timeouts(timeout) == pair


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": (3.0, 0)},
        {"timeout": (math.nan, 1)},
        {"pool_size": 0},
        {"pool_size": 1.5},
    ],
)
def test_options_that_cannot_work_are_refused(options: ClientOptions) -> None:
    with pytest.raises(ConfigurationError):
        ContextClient("http://x", "acme", api_key=KEY, **options)


class Remembering(requests.Session):
    """A session that remembers whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


@pytest.mark.parametrize("kind", [ContextClient, DocumentClient])
def test_a_given_session_stays_open(
    kind: type[ContextClient | DocumentClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CCS_API_KEY", "CCS_USERNAME", "CCS_PASSWORD"):
        monkeypatch.setenv(name, KEY)
    session = Remembering()
    with kind("http://x", "acme", http_session=session):
        pass
    assert not session.closed
