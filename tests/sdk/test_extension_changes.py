"""Following the change log and reading the history of a property, against the real server."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import pytest

from ccs_sdk import (
    DEFAULT_SESSION,
    BadRequestError,
    Change,
    ContextClient,
    GoneError,
    InvalidArgumentError,
    NamespaceSettings,
    NotFoundError,
    PermissionDeniedError,
    _transport,
)
from ccs_sdk.aio import _transport as aio_transport
from ccs_server.domain.change_log import Position, cursor_of
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")


@pytest.fixture
def admin(admins: Account) -> Iterator[ContextClient]:
    """A client whose key has the scope `admin`; the namespace `airline` logs values."""
    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        client.namespace("airline").configure(changes="values")
        yield client


def test_settings_are_read_and_changed(admin: ContextClient) -> None:
    hotel = admin.namespace("hotel")
    with pytest.raises(NotFoundError):
        hotel.get_settings()
    assert hotel.configure(keep_changes=timedelta(hours=1)) == NamespaceSettings(
        "off", timedelta(hours=1)
    )
    assert hotel.configure(changes="names").changes == "names"
    assert hotel.get_settings() == NamespaceSettings("names", timedelta(hours=1))
    with pytest.raises(BadRequestError):
        hotel.configure(changes="all")  # type: ignore[arg-type]


def test_settings_need_an_admin(client: ContextClient) -> None:
    with pytest.raises(PermissionDeniedError):
        client.namespace("airline").configure(changes="values")


def test_changes_come_in_their_order_and_go_on(admin: ContextClient, admins: Account) -> None:
    call = admin.namespace("airline").session("conv-1")
    call.set("intent", {"name": "rebook"})
    changes = admin.changes(pause=0.01)
    first = next(changes)
    assert isinstance(first, Change)
    assert (first.type, first.namespace, first.session_id, first.name) == (
        "property.set",
        "airline",
        "conv-1",
        "intent",
    )
    assert first.has_value
    assert first.value == {"name": "rebook"}
    assert first.etag
    assert first.expires_at is None
    assert first.by
    assert first.by in admins.key
    call.set("otp", None, ttl=60)
    call.delete("intent")
    admin.delete_namespace("airline")
    otp, deleted, dropped = islice(changes, 3)
    assert otp.has_value
    assert otp.value is None
    assert otp.expires_at is not None
    assert (deleted.type, deleted.has_value) == ("property.deleted", False)
    assert (dropped.type, dropped.session_id, dropped.name) == ("namespace.deleted", None, None)


def test_a_program_goes_on_where_it_was(admin: ContextClient) -> None:
    call = admin.namespace("airline").session("conv-1")
    for number in range(5):
        call.set("n", number)
    seen: list[object] = []
    saved = "start"
    while len(seen) < 5:
        for change in islice(admin.changes("airline", after=saved, pause=0.01), 2):
            seen.append(change.value)
            saved = change.id
            if len(seen) == 5:
                break
    assert seen == [*range(5)]


def test_what_follows_a_position_is_what_has_changed_since(admin: ContextClient) -> None:
    call = admin.namespace("airline").session("conv-1")
    call.set("n", 1)
    assert next(admin.changes(pause=0.01)).value == 1
    after = admin.position()
    call.set("n", 2)
    assert next(admin.changes(after=after, pause=0.01)).value == 2


def test_changes_are_selected(admin: ContextClient) -> None:
    airline = admin.namespace("airline")
    airline.session("conv/1".replace("/", " ")).set("a", 1)
    airline.session("conv-2").set("a", 2)
    airline.set("ü&", 3)
    airline.session("conv-2").delete("a")
    selections = {
        1: {"session_id": "conv 1"},
        2: {"session_id": "conv-2", "name": "a"},
        3: {"session_id": DEFAULT_SESSION, "name": "ü&"},
        None: {"types": ["property.deleted"]},
    }
    for value, selection in selections.items():
        change = next(admin.changes(["airline"], pause=0.01, **selection))  # type: ignore[arg-type]
        assert change.value == value


def test_following_goes_on_through_faults(
    admin: ContextClient, admins: Account, proxy: FaultProxy
) -> None:
    call = admin.namespace("airline").session("conv-1")
    with ContextClient(proxy.url, admins.id, api_key=admins.key, retry=None) as proxied:
        changes = proxied.changes("airline", pause=0.01)
        call.set("n", 1)
        assert next(changes).value == 1
        proxy.faults.extend([faults.respond(503), faults.reset_before, faults.respond(500)])
        call.set("n", 2)
        assert next(changes).value == 2


def test_changes_come_at_once_and_not_after_a_pause(admin: ContextClient) -> None:
    call = admin.namespace("airline").session("conv-1")
    changes = admin.changes("airline", pause=3_600)
    for number in range(3):
        call.set("n", number)
        assert next(changes).value == number


def test_a_stream_that_is_cut_off_is_gone_on_with(
    admin: ContextClient, admins: Account, proxy: FaultProxy
) -> None:
    call = admin.namespace("airline").session("conv-1")
    with ContextClient(proxy.url, admins.id, api_key=admins.key, retry=None) as proxied:
        proxy.faults.extend(faults.cut_stream(parts) for parts in (0, 1, 2, 3))
        changes = proxied.changes("airline", pause=0.01)
        for number in range(6):
            call.set("n", number)
            assert next(changes).value == number
    assert not proxy.faults


@pytest.mark.parametrize(
    "fault",
    [
        faults.respond(400, b"{}"),
        faults.respond(503),
        faults.respond(200, b'{"changes":[],"next":"x"}', Content_Type="application/json"),
        faults.never_respond,
    ],
    ids=["400", "503", "no stream", "silence"],
)
def test_pages_are_read_where_there_is_no_stream(
    fault: faults.Fault,
    admin: ContextClient,
    admins: Account,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (_transport, aio_transport):
        monkeypatch.setattr(module, "SILENCE_SECONDS", 0.1)
    call = admin.namespace("airline").session("conv-1")
    call.set("n", 1)
    with ContextClient(proxy.url, admins.id, api_key=admins.key, timeout=0.5) as proxied:
        proxy.faults.append(fault)
        changes = proxied.changes("airline", pause=0.01)
        assert next(changes).value == 1
        call.set("n", 2)
        assert next(changes).value == 2
    accepted = [request.headers["Accept"] for request in proxy.seen]
    assert accepted[0] == "text/event-stream"
    assert "application/json" in accepted


def test_a_position_that_the_log_has_forgotten_is_gone(
    admin: ContextClient, admins: Account
) -> None:
    with pytest.raises(GoneError):
        next(admin.changes(after=cursor_of(admins.id, Position(1, 1))))
    with pytest.raises(BadRequestError):
        next(admin.changes(after="garbage"))


def test_history_is_the_newest_first(admin: ContextClient) -> None:
    airline = admin.namespace("airline")
    call = airline.session("conv-1")
    for number in range(4):
        call.set("n", number)
        call.set("other", number)
    airline.set("n", "of the namespace")
    # The log is brought up to date 20 times a second.
    assert (
        next(admin.changes(session_id=DEFAULT_SESSION, namespaces="airline", pause=0.01)).name
        == "n"
    )
    assert [change.value for change in call.history("n", limit=3)] == [3, 2, 1]
    assert [change.value for change in call.history("n")] == [3, 2, 1, 0]
    assert [change.value for change in airline.history("n")] == ["of the namespace"]
    assert call.history("absent") == []
    # An erasure is told of in the log, but is no part of the history of what it was not about.
    airline.session("conv-2").set("who", "ann")
    admin.erase(value="ann", namespaces="airline").wait()
    told = next(admin.changes(types="erasure.done", after="start", pause=0.01))
    assert told.type == "erasure.done"
    assert [change.value for change in call.history("n")] == [3, 2, 1, 0]
    for limit in (0, 1.5, True):
        with pytest.raises(InvalidArgumentError):
            call.history("n", limit=limit)  # type: ignore[arg-type]
