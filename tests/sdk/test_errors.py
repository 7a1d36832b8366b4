"""Each failure raises its class, with all details, and no failure shows a secret."""

import logging
import pickle
import traceback
from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from ccs_sdk import CCSError, ContextClient, DocumentClient, errors
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

KEY = "k3y-that-must-stay-hidden"
PASSWORD = "p4ssword-that-must-stay-hidden"


@pytest.fixture
def proxied(proxy: FaultProxy) -> Iterator[ContextClient]:
    with ContextClient(proxy.url, "acme", api_key=KEY, retry=None) as client:
        yield client


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (405, errors.MethodNotAllowedError),
        (409, errors.ConflictError),
        (412, errors.LeaseLostError),  # it tells of neither a property nor a document
        (413, errors.TooLargeError),
        (415, errors.UnsupportedMediaTypeError),
        (422, errors.KeyReusedError),
        (423, errors.LeasedError),
        (429, errors.TooManyRequestsError),
        (503, errors.ServiceUnavailableError),
        (500, errors.ServerError),
        (502, errors.ServerError),
        (418, errors.StatusError),
        (307, errors.BadAnswerError),
    ],
)
def test_each_status_has_its_class(
    status: int, kind: type[CCSError], proxy: FaultProxy, proxied: ContextClient
) -> None:
    body = b'{"code": 1, "status": "x", "message": "Change this.", "errors": {"name": ["bad"]}}'
    proxy.faults.append(faults.respond(status, body, X_Request_ID="r-1", Retry_After="7"))
    with pytest.raises(CCSError) as failed:
        proxied.list_namespaces()
    error = failed.value
    assert type(error) is kind
    assert error.status == status
    assert error.request_id == "r-1"
    if isinstance(error, errors.StatusError):
        assert error.message == "Change this."
        assert error.body["errors"] == {"name": ["bad"]}
        assert error.retry_after == 7
        assert str(error) == f"Change this. ({status}, request id r-1)"


def test_an_error_body_that_is_not_json_is_kept_as_text(
    proxy: FaultProxy, proxied: ContextClient
) -> None:
    proxy.faults.append(faults.respond(502, b"<h1>Bad Gateway</h1>"))
    with pytest.raises(errors.ServerError) as failed:
        proxied.list_namespaces()
    assert failed.value.body == "<h1>Bad Gateway</h1>"
    assert failed.value.message == "The server returned 502."
    assert failed.value.request_id == proxy.seen[0].headers["X-Request-ID"]


@pytest.mark.parametrize("body", [b"", b"<h1>Not Found</h1>", b'{"error": "no such host"}'])
def test_a_404_from_a_proxy_is_not_treated_as_an_absent_property(
    body: bytes, proxy: FaultProxy, proxied: ContextClient
) -> None:
    proxy.faults.extend([faults.respond(404, body)] * 3)
    place = proxied.namespace("airline")
    with pytest.raises(errors.NotFoundError) as failed:
        place["a"]
    assert not isinstance(failed.value, errors.PropertyNotFoundError)
    with pytest.raises(errors.NotFoundError):
        place.get("a", "default")
    with pytest.raises(errors.NotFoundError):
        _ = "a" in place


def test_a_wrong_base_url_is_not_treated_as_an_absent_property(account: Account) -> None:
    with (
        ContextClient(f"{account.server_url}/v1", account.id, api_key=account.key) as client,
        pytest.raises(errors.NotFoundError),
    ):
        client.namespace("airline").get("a", "default")


def test_refusals_of_the_service_raise_their_class(
    account: Account, other_account: Account, client: ContextClient
) -> None:
    with (
        ContextClient(account.server_url, account.id, api_key=other_account.key) as other,
        pytest.raises(errors.PermissionDeniedError),
    ):
        other.list_namespaces()
    with pytest.raises(errors.TooLargeError, match="document too large"):
        client.set_property("airline", "a", "x" * 800_000)
    assert client.get_properties("airline") == {}


def test_errors_survive_pickling() -> None:
    error = errors.TooManyRequestsError("Slow down.", body={"code": 429}, retry_after=3)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - pickled above
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_the_message_of_an_absent_property_is_not_quoted() -> None:
    # KeyError shows its message in quotes.
    assert str(errors.PropertyNotFoundError("Gone.", request_id="r")) == "Gone. (404, request id r)"


@pytest.mark.parametrize(
    "fault",
    [
        faults.reset_before,
        faults.truncate,
        faults.respond(302, Location="http://x"),
        faults.respond(200, b"<html>"),
        faults.pass_on,  # to a server where the key is unknown
    ],
)
def test_no_error_or_log_contains_the_key(
    fault: faults.Fault, proxy: FaultProxy, proxied: ContextClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.faults.append(fault)
    with pytest.raises(CCSError) as failed:
        proxied.list_namespaces()
    _check_no_secret_in_error(failed.value)
    assert caplog.text
    _check_no_secret(caplog.text)
    assert KEY in proxy.seen[0].headers.values()


@pytest.mark.parametrize("fault", [faults.reset_before, faults.respond(401), faults.respond(200)])
def test_no_error_or_log_contains_the_password(
    fault: faults.Fault, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy.faults.append(fault)
    with (
        DocumentClient(proxy.url, "acme", username="anna", password=PASSWORD, retry=None) as client,
        pytest.raises(CCSError) as failed,
    ):
        client.get("airline")
    _check_no_secret_in_error(failed.value)
    assert caplog.text
    _check_no_secret(caplog.text)


def test_netrc_files_are_ignored(
    proxy: FaultProxy,
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with (
        ContextClient(proxy.url, account.id, api_key=account.key) as v1,
        DocumentClient(
            proxy.url, account.id, username=account.username, password=account.password
        ) as v2,
    ):
        v1.list_namespaces()
        v2.save("airline", {"a": 1})
        v2.signing_keys()
    by_name = {seen.path.rpartition("/")[2]: seen.headers for seen in proxy.seen}
    assert "Authorization" not in by_name[account.id]
    assert by_name["create"]["Authorization"].startswith("Bearer ")
    assert "Authorization" not in by_name["jwks.json"]


def test_no_repr_contains_a_secret(documents: DocumentClient, account: Account) -> None:
    token = documents.login()
    with ContextClient(account.server_url, account.id, api_key=account.key) as client:
        place = client.namespace("airline").session("conv-1")
        shown = [
            repr(item) for item in (client, vars(client), place, documents, vars(documents), token)
        ]
    for secret in (account.key, account.password, token.value):
        assert secret not in "".join(shown)
    assert account.id in shown[0]


def test_clients_and_handles_cannot_be_pickled_or_copied(
    client: ContextClient, documents: DocumentClient
) -> None:
    documents.login()
    holders: list[object] = [client, client.namespace("airline"), documents]
    for holder in holders:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match=r"Create one in each process instead\."):
                pickle.dumps(holder, protocol)
        with pytest.raises(TypeError, match=r"cannot be pickled"):
            deepcopy(holder)


def test_a_password_that_cannot_be_sent_is_refused_without_showing_it() -> None:
    with pytest.raises(errors.ConfigurationError) as refused:
        DocumentClient("http://x", "acme", username="anna", password=f"{PASSWORD}\ud800")
    assert refused.value.__context__ is None
    assert PASSWORD not in str(refused.value)


def _check_no_secret_in_error(error: CCSError) -> None:
    """Checks the message, the local variables of the traceback, and chained exceptions."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    _check_no_secret("".join(shown))
    assert error.__cause__ is None
    assert error.__context__ is None


def _check_no_secret(text: str) -> None:
    for secret in (KEY, PASSWORD, b64encode(f"anna:{PASSWORD}".encode()).decode()):
        assert secret not in text
