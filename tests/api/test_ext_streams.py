"""The change log as event streams, over real connections."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ccs_server.app import create_app
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.credentials import key_id_of
from ccs_server.settings import Settings
from ccs_server.store.credentials import KeyTerms, create_key, revoke_key
from ccs_server.store.database import Database
from ccs_server.store.purge import purge
from ccs_server.store.sequencing import sequence
from tests.api.answers import assert_error
from tests.api.test_ext_changes import put, read, switch_on, token
from tests.support.clock import Clock
from tests.support.databases import no_connections
from tests.support.event_streams import EventStream, event_stream
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until


@pytest.fixture
def admin(server: Server, database: Database) -> Iterator[Account]:
    """An account whose namespace `orders` logs values."""
    with new_account(server, database, "admin") as account:
        switch_on(account)
        yield account


def names(stream: EventStream, count: int) -> list[str]:
    return [event.name for event in stream.take(count)]


def test_a_stream_tells_what_changes_from_now_on(admin: Account, database: Database) -> None:
    put(admin, "before")
    sequence(database)
    with event_stream(admin) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["cache-control"] == "no-store"
        put(admin, "a", {"text": "two\nlines"})
        put(admin, "b")
        first, second = stream.take(2)
    assert (first.type, second.name) == ("property.set", "b")
    assert first.data["value"] == {"text": "two\nlines"}
    assert first.data == read(database, admin)["changes"][1]
    assert first.id == first.data["id"]


def test_white_space_in_a_value_does_not_break_an_event(admin: Account) -> None:
    with event_stream(admin) as stream:
        path, headers = "/orders/s1/properties/a", {"Content-Type": "application/json"}
        admin.v1("PUT", path, data=b'{"a":\r\n [1,\n\r 2]}', headers=headers)
        (event,) = stream.take(1)
    assert event.data["value"] == {"a": [1, 2]}


def test_a_stream_begins_where_its_client_was(admin: Account, database: Database) -> None:
    for name in "abcd":
        put(admin, name)
    events = read(database, admin)["changes"]
    with event_stream(admin, after="start") as stream:
        assert names(stream, 4) == ["a", "b", "c", "d"]
        put(admin, "live")
        assert names(stream, 1) == ["live"]
    with event_stream(admin, after=events[1]["id"]) as stream:
        assert names(stream, 3) == ["c", "d", "live"]
    # What a browser sends when it connects again goes before the URL that it was given.
    last = {"Last-Event-ID": events[2]["id"]}
    with event_stream(admin, headers=last, after=events[0]["id"]) as stream:
        assert names(stream, 2) == ["d", "live"]


def test_streams_of_one_account_get_what_each_wants(admin: Account) -> None:
    switch_on(admin, "other")
    queries: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["a", "b", "a", "z", "namespace.deleted", "end"]),
        ({"ns": "orders", "session": "s1"}, ["a", "b", "end"]),
        ({"ns": "orders", "session": "s1", "name": "b"}, ["b"]),
        ({"ns": "other", "session": "s1", "name": "a"}, ["namespace.deleted"]),
        ({"type": "namespace.deleted"}, ["namespace.deleted"]),
        ({"ns": ["orders", "absent"]}, ["a", "b", "a", "end"]),
    ]
    with ExitStack() as stack:
        streams = [stack.enter_context(event_stream(admin, **query)) for query, _ in queries]
        put(admin, "a")
        put(admin, "b")
        put(admin, "a", session="s2")
        put(admin, "z", ns="other")
        admin.v1("DELETE", "/other")
        put(admin, "end")
        for stream, (_, expected) in zip(streams, queries, strict=True):
            assert names(stream, len(expected)) == expected


def test_a_limited_key_and_a_session_token_get_only_what_they_may(
    admin: Account, database: Database
) -> None:
    switch_on(admin, "day_1")
    access = Access(Scope.READ, ("day_*",))
    limited = create_key(database, admin.id, terms=KeyTerms(access)).key
    made = token(admin, names=["b"])
    with (
        event_stream(admin, key=limited) as days,
        event_stream(admin, key="", access_token=made) as session,
        event_stream(admin),
    ):
        put(admin, "a")
        put(admin, "b")
        put(admin, "b", session="s2")
        put(admin, "c", ns="day_1")
        put(admin, "d", ns="day_1")
        put(admin, "b", 2)
        assert names(days, 2) == ["c", "d"]
        assert [event.data["value"] for event in session.take(2)] == [1, 2]
    with event_stream(admin, key=limited, ns="orders") as refused:
        assert refused.status == 403


def test_a_stream_ends_with_its_credential(admin: Account, database: Database) -> None:
    made = create_key(database, admin.id)
    with event_stream(admin, key=made.key) as stream:
        put(admin, "a")
        assert names(stream, 1) == ["a"]
        revoke_key(database, admin.id, key_id_of(made.key) or "")
        assert [event.type for event in stream.events()][-1] == "position"
    with event_stream(admin, key=made.key) as refused:
        assert refused.status == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": 10}, 400),
        ({"order": "desc"}, 400),
        ({"after": "garbage"}, 400),
        ({"session": "s1"}, 400),
        ({"unknown": 1}, 400),
    ],
)
def test_a_bad_request_has_an_ordinary_error(
    admin: Account, query: dict[str, Any], status: int
) -> None:
    with event_stream(admin, **query) as stream:
        assert stream.status == status
        assert json.loads(stream.read())["code"] == status
    with event_stream(admin, headers={"Last-Event-ID": "garbage"}) as stream:
        assert stream.status == 400


def test_a_position_that_was_forgotten_is_gone(
    admin: Account, database: Database, clock: Clock
) -> None:
    switch_on(admin, keepChanges=60)
    start = read(database, admin, after="now")["next"]
    put(admin, "a")
    sequence(database)
    clock.advance(seconds=61)
    purge(database)
    with event_stream(admin, after=start) as stream:
        assert stream.status == 410


def test_head_is_no_stream(admin: Account) -> None:
    response = admin.ext("HEAD", "/changes", headers={"Accept": "text/event-stream"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"


def test_another_server_says_that_it_has_no_streams(admin: Account, database_url: str) -> None:
    app = create_app(Settings(database_url=database_url))
    with app.test_client() as client:
        response = client.get(
            f"/ext/v1/{admin.id}/changes",
            headers={"maven-api-key": admin.key, "Accept": "text/event-stream"},
        )
        assert response.status_code == 400
        assert "ccs serve" in response.text


def status_of_a_stream(account: Account) -> int:
    with event_stream(account) as stream:
        return stream.status


def test_streams_take_no_slot_and_over_their_limit_they_are_refused(
    database_url: str, database: Database
) -> None:
    settings = {"CCS_DATABASE_URL": database_url, "CCS_STREAM_LIMIT": "20"}
    with (
        serving("--workers", "1", env=environment(**settings)) as server,
        new_account(server, database, "admin") as account,
        ExitStack() as stack,
    ):
        switch_on(account)
        streams = [stack.enter_context(event_stream(account)) for _ in range(20)]
        assert {stream.status for stream in streams} == {200}
        with event_stream(account) as refused:
            assert refused.status == 503
            assert refused.headers["retry-after"] == "5"
        put(account, "a")
        assert [names(stream, 1) for stream in streams] == [["a"]] * 20
        streams[0].socket.shutdown(socket.SHUT_RDWR)
        # A client that has left makes room.
        wait_until(lambda: status_of_a_stream(account) == 200)


def test_an_idle_stream_is_told_its_position_and_a_stop_ends_it_with_the_last_one(
    database_url: str, database: Database
) -> None:
    settings = {"CCS_DATABASE_URL": database_url, "CCS_REQUEST_TIME": "1"}
    env = environment(**settings)
    with (
        serving("--workers", "1", env=env) as server,
        new_account(server, database, "admin") as account,
    ):
        switch_on(account)
        with event_stream(account, ns="quiet") as stream:
            first, second = (next(stream.events()) for _ in range(2))
            assert first.type == second.type == "position"
            put(account, "a")
            for event in stream.events():
                if event.id != first.id:
                    break
            assert event.type == "position", "the position moves on although nothing is wanted"
            # A connection on which nothing was sent for twice the request time is closed; this one is not.
            time.sleep(2.5)
            server.process.terminate()
            last = [event.id for event in stream.events()][-1]
        assert server.process.wait(20) == 0
    with serving("--workers", "1", env=env) as again:
        account.server_url = again.url
        with event_stream(account, headers={"Last-Event-ID": last}) as stream:
            put(account, "b")
            assert names(stream, 1) == ["b"]


def test_a_stream_goes_on_after_the_database_was_away(own_url: str, tmp_path: Path) -> None:
    """Its credential is due to be checked while nothing can be looked up."""
    settings = {"CCS_DATABASE_URL": own_url, "CCS_CREDENTIAL_CACHE": "1"}
    database, log = Database(own_url, Settings()), tmp_path / "log"
    with (
        log.open("w") as file,
        serving("--workers", "1", env=environment(**settings), log=file) as server,
        new_account(server, database, "admin") as account,
    ):
        switch_on(account)
        with event_stream(account) as stream:
            with no_connections(own_url):
                wait_until(lambda: log.read_text().count('"ccs.streams"') >= 3)
            wait_until(lambda: account.v1("GET", "").status_code == 200)
            put(account, "a")
            assert names(stream, 1) == ["a"]
    database.release()


def test_a_client_that_takes_nothing_is_cut_off_and_resumes(
    database_url: str, database: Database
) -> None:
    settings = {"CCS_DATABASE_URL": database_url, "CCS_REQUEST_TIME": "2"}
    with (
        serving("--workers", "1", env=environment(**settings)) as server,
        new_account(server, database, "admin") as account,
    ):
        switch_on(account)
        with event_stream(account) as slow, event_stream(account) as other:
            for number in range(60):
                put(account, "large", f"{number} " + "x" * 500_000)
                # Others are not held up.
                (event,) = other.take(1)
                assert event.data["value"].startswith(f"{number} ")
            time.sleep(4)
            received = [event for event in slow.events() if event.type != "position"]
        assert 0 < len(received) < 60
        with event_stream(account, headers={"Last-Event-ID": received[-1].id}) as resumed:
            (event,) = resumed.take(1)
            assert event.data["value"].startswith(f"{len(received)} ")


def test_a_stream_ends_at_a_bad_token(admin: Account) -> None:
    path = f"/ext/v1/{admin.id}/changes"
    headers = {"Accept": "text/event-stream"}
    assert_error(admin.call("GET", path, headers, params={"access_token": "garbage"}), 401)
