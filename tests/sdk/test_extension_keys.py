"""Keys and session tokens, against the real server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ccs_sdk import (
    AuthenticationError,
    BadRequestError,
    ContextClient,
    PermissionDeniedError,
)
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.clock import Clock
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


@pytest.fixture
def admin(admins: Account) -> Iterator[ContextClient]:
    """A client whose key has the scope `admin`."""
    with _with(admins, admins.key) as client:
        yield client


def _with(account: Account, key: str) -> ContextClient:
    return ContextClient(account.server_url, account.id, api_key=key)


def test_a_key_is_made_listed_and_deleted(admin: ContextClient, admins: Account) -> None:
    made = admin.keys.create(scope="read", label="reports", namespaces=["airline", "day_*"])
    assert made.key not in repr(made)
    (listed,) = [key for key in admin.keys.list() if key.key_id == made.key_id]
    assert listed == made.info
    assert (listed.scope, listed.label, listed.namespaces) == (
        *("read", "reports"),
        ["airline", "day_*"],
    )
    assert listed.expires_at is None
    with _with(admins, made.key) as reports:
        assert reports.namespace("day_1").all() == {}
        with pytest.raises(PermissionDeniedError):
            reports.namespace("hotel").all()
        with pytest.raises(PermissionDeniedError):
            reports.namespace("airline").set("a", 1)
        with pytest.raises(PermissionDeniedError):
            reports.keys.list()
    admin.keys.delete(made.key_id)
    admin.keys.delete(made.key_id)
    assert made.key_id not in {key.key_id for key in admin.keys.list()}


def test_a_key_may_expire(admin: ContextClient, admins: Account, clock: Clock) -> None:
    made = admin.keys.create(scope="write", expires_in=timedelta(hours=1))
    assert made.info.expires_at is not None
    with _with(admins, made.key) as client:
        client.namespace("airline")["a"] = 1
        clock.advance(seconds=3_601)
        assert made.key_id not in {key.key_id for key in admin.keys.list()}


def test_a_rotated_key_has_the_same_rights(admin: ContextClient, admins: Account) -> None:
    old = admin.keys.create(scope="read", label="reports")
    new = admin.keys.rotate(old.key_id, overlap=60)
    assert new.key_id != old.key_id
    assert (new.info.scope, new.info.label) == ("read", "reports")
    for key in (old.key, new.key):
        with _with(admins, key) as client:
            assert client.namespace("airline").all() == {}


@pytest.mark.parametrize("lost", [faults.reset_after, faults.truncate])
def test_a_key_whose_secret_was_lost_is_replaced(
    lost: faults.Fault, proxy: FaultProxy, admins: Account
) -> None:
    with ContextClient(proxy.url, admins.id, api_key=admins.key) as client:
        proxy.faults.append(lost)
        made = client.keys.create(scope="read", label="reports")
        assert [key.key_id for key in client.keys.list() if key.label] == [made.key_id]
        proxy.faults.append(lost)
        rotated = client.keys.rotate(made.key_id, overlap=0)
        assert [key.key_id for key in client.keys.list() if key.label] == [rotated.key_id]
    with _with(admins, rotated.key) as reports:
        assert reports.namespace("airline").all() == {}


def test_a_session_token_reaches_its_session_only(client: ContextClient, account: Account) -> None:
    call = client.namespace("airline").session("conv-1")
    call["intent"] = "rebook"
    token = call.token(scope="write", expires_in=timedelta(minutes=10))
    assert token.value not in repr(token)
    assert timedelta(minutes=9) < token.expires_at - datetime.now(UTC) < timedelta(minutes=11)
    with _with(account, token.value) as widget:
        own = widget.namespace("airline").session("conv-1")
        assert own.all() == {"intent": "rebook"}
        own["seat"] = "12A"
        assert own.increment("turns") == 1
        assert own.read("seat").value == "12A"
        with pytest.raises(PermissionDeniedError):
            widget.namespace("airline").session("conv-2").all()
        with pytest.raises(PermissionDeniedError):
            widget.list_namespaces()


def test_a_session_token_may_be_limited_to_names(client: ContextClient, account: Account) -> None:
    call = client.namespace("airline").session("conv-1")
    call.update({"intent": "rebook", "secret": 1})
    token = call.token(names=["intent"])
    with _with(account, token.value) as widget:
        own = widget.namespace("airline").session("conv-1")
        assert own.get("intent") == "rebook"
        assert own.read("intent").value == "rebook"
        with pytest.raises(PermissionDeniedError):
            own.all()
        with pytest.raises(PermissionDeniedError):
            own.read("secret")
        with pytest.raises(PermissionDeniedError):
            own.set("intent", "cancel")


def test_the_service_checks_how_long_a_token_lasts(client: ContextClient) -> None:
    with pytest.raises(BadRequestError):
        client.namespace("airline").token(expires_in=59)


def test_a_token_of_nonsense_is_refused(account: Account) -> None:
    with (
        _with(account, "e30.e30.c2ln") as client,
        pytest.raises((AuthenticationError, PermissionDeniedError)),
    ):
        client.namespace("airline").session("conv-1").all()
