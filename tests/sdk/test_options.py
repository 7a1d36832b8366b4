"""Settings come from arguments or the environment, and are checked when a client is created."""

import inspect
import math
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
import requests

from ccs_sdk import (
    ClientClosedError,
    ClientOptions,
    ConfigurationError,
    ContextClient,
    DocumentClient,
    InvalidArgumentError,
)
from ccs_sdk._options import check_base_url, timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

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
def test_base_urls_are_normalised(given: str, used: str) -> None:
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
def test_an_invalid_base_url_is_refused_without_showing_secrets(url: str) -> None:
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
def test_a_key_that_no_header_can_contain_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ContextClient("http://x", "acme", api_key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize(("timeout", "pair"), [(2.5, (2.5, 2.5)), ((1, 9.0), (1, 9.0))])
def test_a_timeout_is_one_number_or_a_pair(
    timeout: float | tuple[float, float], pair: tuple[float, float]
) -> None:
    assert timeouts(timeout) == pair


MISTYPED: list[tuple[dict[str, Any], str]] = [
    ({"timeout": 0}, "timeout must be a number of seconds"),
    ({"timeout": -1.0}, "timeout must be a number of seconds"),
    ({"timeout": (3.0, 0)}, "timeout must be a number of seconds"),
    ({"timeout": (math.nan, 1)}, "timeout must be a number of seconds"),
    ({"timeout": math.inf}, "timeout must be a number of seconds"),
    ({"timeout": 86_401}, "timeout must be a number of seconds"),
    ({"timeout": "5"}, "timeout must be a number of seconds"),
    ({"timeout": (1, 2, 3)}, "timeout must be a number of seconds"),
    ({"timeout": [1, 2]}, "timeout must be a number of seconds"),
    ({"timeout": None}, "timeout must be a number of seconds"),
    ({"timeout": True}, "timeout must be a number of seconds"),
    ({"retry": 3}, "retry must be a RetryPolicy, not int; for three attempts, give"),
    ({"retry": False}, "retry must be a RetryPolicy, not bool"),
    ({"on_retry": "print"}, "on_retry must be a function of a RetryEvent, not str"),
    ({"pool_size": 0}, "pool_size must be a whole number, 1 or more"),
    ({"pool_size": 1.5}, "pool_size must be a whole number, 1 or more"),
    ({"pool_size": "10"}, "pool_size must be a whole number, 1 or more"),
    ({"decimals": "no"}, "decimals must be a bool, not str"),
    ({"decimals": None}, "decimals must be a bool, not NoneType"),
    ({"on_request": 1}, "on_request must be a function of a RequestEvent, not int"),
    ({"on_response": []}, "on_response must be a function of a ResponseEvent, not list"),
    ({"default": "str"}, "default must be a function of a value that JSON does not know, not str"),
    ({"user_agent": 1}, "user_agent must be a str, not int"),
    ({"user_agent": ""}, "user_agent must be printable ASCII"),
    ({"user_agent": "bot\n1"}, "user_agent must be printable ASCII"),
    ({"verify": None}, "verify must be True, False or the file of a CA bundle, not NoneType"),
    ({"cert": ("a",)}, "cert must be the file of a certificate and its key, or a pair"),
    ({"cert": 1}, "cert must be the file of a certificate and its key, or a pair"),
    ({"proxies": "http://p"}, "proxies must be a mapping with the keys"),
    ({"proxies": {"ftp": "http://p"}}, "proxies must be a mapping with the keys"),
    ({"proxies": {"all": None}}, "The proxy for all must be a str, not NoneType"),
    ({"http_session": requests.Session}, "http_session must be a Session, not type"),
    ({"base_url": b"http://x"}, "base_url must be a str, not bytes"),
    ({"account_id": 12345}, "account_id must be a str, not int"),
    ({"account_id": "a/b"}, "account_id must have at least one character and no '/'"),
]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CCS_API_KEY", "CCS_USERNAME", "CCS_PASSWORD"):
        monkeypatch.setenv(name, KEY)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("kind", [ContextClient, DocumentClient])
@pytest.mark.parametrize(("options", "sentence"), MISTYPED)
def test_an_invalid_option_is_refused_with_a_message(
    options: dict[str, Any], sentence: str, kind: type[ContextClient | DocumentClient]
) -> None:
    arguments: dict[str, Any] = {"base_url": "http://x", "account_id": "acme"} | options
    with pytest.raises((ConfigurationError, InvalidArgumentError)) as refused:
        kind(**arguments)
    assert refused.value.message.startswith(sentence)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("kind", [ContextClient, DocumentClient])
@pytest.mark.parametrize("name", ["retries", "time_out", "timeouts", "session"])
def test_an_unknown_option_is_refused(
    name: str, kind: type[ContextClient | DocumentClient]
) -> None:
    misspelt: dict[str, Any] = {name: 3}
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        kind("http://x", "acme", **misspelt)


@pytest.mark.parametrize("secret", [12345, b"key"])
def test_a_secret_of_another_type_is_not_shown(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="api_key must be a str") as v1:
        ContextClient("http://x", "acme", api_key=secret)
    with pytest.raises(ConfigurationError, match="password must be a str") as v2:
        DocumentClient("http://x", "acme", username="anna", password=secret)
    assert str(secret) not in f"{v1.value}{v2.value}"


@pytest.mark.parametrize("kind", [ContextClient, DocumentClient])
def test_the_options_are_declared_in_the_signature(
    kind: type[ContextClient | DocumentClient],
) -> None:
    parameters = inspect.signature(kind).parameters
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    assert set(ClientOptions.__annotations__) < set(parameters)
    annotations = get_type_hints(kind.__init__)
    for name, annotation in get_type_hints(ClientOptions).items():
        assert annotations[name] == annotation


class RecordingClose(requests.Session):
    """A session that records whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("kind", [ContextClient, DocumentClient])
def test_a_given_session_stays_open(kind: type[ContextClient | DocumentClient]) -> None:
    session = RecordingClose()
    with kind("http://x", "acme", http_session=session):
        pass
    assert not session.closed


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("session", [None, requests.Session()])
def test_a_closed_client_sends_nothing(session: requests.Session | None) -> None:
    with ContextClient("http://127.0.0.1:1", "acme", http_session=session) as v1:
        place = v1.namespace("airline")
    v2 = DocumentClient("http://127.0.0.1:1", "acme", http_session=session)
    v2.close()
    v2.close()
    calls: list[Callable[[], object]] = [
        v1.list_namespaces,
        place.all,
        lambda: place.set("a", 1),
        lambda: list(place.iter_sessions()),
        v2.login,
        v2.signing_keys,
        lambda: v2.get("airline"),
    ]
    for call in calls:
        with pytest.raises(ClientClosedError, match="The client is closed; create another one"):
            call()


class RecordingSettings(requests.Session):
    """A session that records the settings of a request, and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        self.settings = settings
        response = requests.Response()
        response.status_code = 204
        response.request = request
        return response


@pytest.mark.parametrize(
    ("verify", "used"), [(True, "/from/environment"), (False, False), ("/mine", "/mine")]
)
def test_verify_of_a_given_session_takes_precedence_over_the_environment(
    verify: bool | str, used: bool | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/from/environment")
    session = RecordingSettings()
    session.verify = verify
    client = ContextClient("https://x", "acme", api_key=KEY, http_session=session)
    client.delete_namespace("airline")
    assert session.settings["verify"] == used


def test_proxies_of_a_given_session_take_precedence_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://from-environment")
    session = RecordingSettings()
    client = ContextClient("https://x", "acme", api_key=KEY, http_session=session)
    client.delete_namespace("airline")
    assert session.settings["proxies"]["https"] == "http://from-environment"
    session.proxies = {"all": "http://mine"}
    client.delete_namespace("airline")
    assert session.settings["proxies"] == {"all": "http://mine"}


@pytest.mark.parametrize(
    "options", [{"verify": "/ca.pem"}, {"cert": "/both.pem"}, {"proxies": {"all": "http://p"}}]
)
def test_a_given_session_has_its_own_settings(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="of the http_session itself"):
        ContextClient("http://x", "acme", api_key="key", http_session=requests.Session(), **options)
