"""The settings of namespaces and the change log over HTTP. `tests/store/test_logged.py` checks what is logged."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from requests import Response
from sqlalchemy import text

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.change_log import Position, cursor_of
from ccs_server.domain.conditions import etag_of
from ccs_server.domain.credentials import key_id_of
from ccs_server.domain.limits import MAX_KEEP_CHANGES_SECONDS
from ccs_server.store import changes
from ccs_server.store.credentials import KeyTerms, create_key
from ccs_server.store.database import Database
from ccs_server.store.purge import purge
from ccs_server.store.sequencing import sequence
from tests.api.answers import TIMESTAMP, assert_error
from tests.support.clock import Clock
from tests.support.service import Account, Server, new_account

SETTINGS = "/namespaces/orders"


@pytest.fixture
def admin(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope `admin`, and whose namespace `orders` logs values."""
    with new_account(server, database, "admin") as account:
        switch_on(account)
        yield account


def switch_on(account: Account, namespace: str = "orders", **settings: Any) -> None:
    given = {"changes": "values"} | settings
    response = account.ext("PATCH", f"/namespaces/{namespace}", json=given)
    assert response.status_code == 200, response.text


def put(
    account: Account, name: str, value: Any = 1, session: str = "s1", ns: str = "orders"
) -> None:
    response = account.v1("PUT", f"/{ns}/{session}/properties/{name}", json=value)
    assert response.status_code == 204, response.text


def get(account: Account, key: str = "", **query: Any) -> Response:
    return account.ext(
        "GET", "/changes", params=query, headers={"maven-api-key": key or account.key}
    )


def read(database: Database, account: Account, key: str = "", **query: Any) -> dict[str, Any]:
    """A page of the log, after bringing what is committed into it."""
    sequence(database)
    response = get(account, key, **query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def names(page: dict[str, Any]) -> list[str]:
    return [event.get("name", event["type"]) for event in page["changes"]]


def test_settings_are_off_until_they_are_changed(server: Server, database: Database) -> None:
    with new_account(server, database, "admin") as account:
        assert_error(account.ext("GET", SETTINGS), 404)
        put(account, "a")
        none = {"index": [], "sortByUpdate": False, "indexState": "ready"}
        defaults = {"changes": "off", "keepChanges": 604_800} | none
        assert account.ext("GET", SETTINGS).json() == defaults
        response = account.ext("PATCH", SETTINGS, json={"changes": "names", "keepChanges": 60.0})
        assert response.status_code == 200
        assert response.json() == {"changes": "names", "keepChanges": 60} | none
        assert account.ext("PATCH", SETTINGS, json={}).json() == response.json()
        assert account.ext("GET", SETTINGS).json() == response.json()
        account.v1("DELETE", "/orders")
        assert_error(account.ext("GET", SETTINGS), 404)


@pytest.mark.parametrize(
    "body",
    [
        {"changes": "all"},
        {"changes": None},
        {"keepChanges": 0},
        {"keepChanges": 1.5},
        {"keepChanges": MAX_KEEP_CHANGES_SECONDS + 1},
        {"keepChanges": "60"},
        {"change": "values"},
        {"index": ["a"] * 9},
        {"index": [""]},
        {"index": "a"},
        {"sortByUpdate": 1},
        [],
    ],
)
def test_bad_settings_are_refused(admin: Account, body: object) -> None:
    assert_error(admin.ext("PATCH", SETTINGS, json=body), 400)
    assert admin.ext("GET", SETTINGS).json()["changes"] == "values"


def test_settings_need_an_admin(account: Account) -> None:
    put(account, "a")
    assert_error(account.ext("GET", SETTINGS), 403)
    assert_error(account.ext("PATCH", SETTINGS, json={"changes": "values"}), 403)
    assert_error(account.ext("GET", "/namespaces/orders?x=1"), 403)


def test_an_event_tells_what_was_changed_and_by_whom(admin: Account, database: Database) -> None:
    put(admin, "a", {"x": [1, None]})
    (event,) = read(database, admin)["changes"]
    assert TIMESTAMP.fullmatch(event["time"])
    assert event == {
        "id": event["id"],
        "type": "property.set",
        "time": event["time"],
        "ns": "orders",
        "session": "s1",
        "name": "a",
        "value": {"x": [1, None]},
        "etag": etag_of(b'{"x":[1,null]}'),
        "expiresAt": None,
        "by": key_id_of(admin.key),
    }
    admin.v2(
        "POST",
        "/context/document/create",
        json={"accountId": admin.id, "nameSpace": "orders", "payload": {"b": 1}, "ttlSeconds": 60},
    ).raise_for_status()
    *_, saved = read(database, admin)["changes"]
    assert (saved["session"], saved["by"]) == ("__default__", f"user:{admin.username}")
    assert TIMESTAMP.fullmatch(saved["expiresAt"])
    admin.v1("DELETE", "/orders")
    *_, deleted = read(database, admin)["changes"]
    assert deleted.keys() == {"id", "type", "time", "ns", "by"}


def test_a_running_service_brings_events_into_the_log_by_itself(admin: Account) -> None:
    put(admin, "a")
    deadline = time.monotonic() + 10
    while not (found := get(admin).json()["changes"]):
        assert time.monotonic() < deadline
    assert [event["name"] for event in found] == ["a"]


def test_pages_follow_each_other_without_a_gap(admin: Account, database: Database) -> None:
    for number in range(7):
        put(admin, f"p{number}")
    page, found = read(database, admin, limit=3), []
    while page["changes"]:
        found += names(page)
        page = read(database, admin, limit=3, after=page["next"])
    assert found == [f"p{number}" for number in range(7)]
    # The log has no end: the next page will have what follows.
    put(admin, "later")
    assert names(read(database, admin, after=page["next"])) == ["later"]


def test_an_event_is_a_cursor_too(admin: Account, database: Database) -> None:
    for name in "abc":
        put(admin, name)
    events = read(database, admin)["changes"]
    assert names(read(database, admin, after=events[0]["id"])) == ["b", "c"]
    assert names(read(database, admin, after=events[2]["id"], order="desc")) == ["b", "a"]


def test_now_begins_at_the_end_of_the_log(admin: Account, database: Database) -> None:
    put(admin, "before")
    page = read(database, admin, after="now")
    assert page["changes"] == []
    put(admin, "after")
    assert names(read(database, admin, after=page["next"])) == ["after"]


def test_a_limit_of_0_returns_where_it_is(admin: Account, database: Database) -> None:
    put(admin, "a")
    assert read(database, admin, limit=0)["changes"] == []
    now = read(database, admin, limit=0, after="now")["next"]
    start = read(database, admin, limit=0)["next"]
    put(admin, "b")
    assert names(read(database, admin, after=now)) == ["b"]
    assert names(read(database, admin, after=start)) == ["a", "b"]


def test_the_history_of_a_property_begins_with_the_newest_and_has_an_end(
    admin: Account, database: Database
) -> None:
    for number in range(4):
        put(admin, "a", number)
        put(admin, "other", number)
        put(admin, "a", "elsewhere", session="s2")
    admin.v1("DELETE", "/orders/s1/properties/a")
    query: dict[str, Any] = {
        "ns": "orders",
        "session": "s1",
        "name": "a",
        "order": "desc",
        "limit": 2,
    }
    page, found = read(database, admin, **query), []
    while True:
        found += [event.get("value") for event in page["changes"]]
        if "next" not in page:
            break
        page = read(database, admin, after=page["next"], **query)
    assert found == [None, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["a", "b", "a", "a", "namespace.deleted"]),
        ({"ns": "orders"}, ["a", "b", "a"]),
        ({"ns": ["orders", "other"]}, ["a", "b", "a", "a", "namespace.deleted"]),
        ({"ns": "absent"}, []),
        ({"ns": "orders", "session": "s1"}, ["a", "b"]),
        ({"ns": "other", "session": "s9"}, ["namespace.deleted"]),
        ({"ns": "orders", "session": "s1", "name": "a"}, ["a"]),
        ({"ns": "other", "session": "s1", "name": "a"}, ["a", "namespace.deleted"]),
        ({"type": "namespace.deleted"}, ["namespace.deleted"]),
        ({"type": ["property.deleted", "property.expired"]}, []),
        ({"ns": "other", "session": "s1", "name": "a", "type": "property.set"}, ["a"]),
    ],
)
def test_filters_select_events(
    admin: Account, database: Database, query: dict[str, Any], found: list[str]
) -> None:
    switch_on(admin, "other")
    put(admin, "a")
    put(admin, "b")
    put(admin, "a", session="s2")
    put(admin, "a", ns="other")
    admin.v1("DELETE", "/other")
    assert names(read(database, admin, **query)) == found
    assert names(read(database, admin, order="desc", **query)) == found[::-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=", "limit"),
        ("order=down", "order"),
        ("type=property.changed", "type"),
        ("ns=custom", "ns"),
        ("ns=a%20b", "ns"),
        ("session=s1", "ns"),
        ("ns=a&ns=b&session=s1", "ns"),
        ("ns=a&session=properties", "session"),
        ("ns=a&name=b", "session"),
        ("ns=a&session=s&name=%00", "name"),
        ("since=now", "since"),
        ("after=start&after=now", "after"),
        ("&".join(f"ns=n{number}" for number in range(21)), "ns"),
        ("ns=%FF", "query"),
        ("after=", "after"),
        ("after=garbage", "after"),
        ("after=AAAA", "after"),
    ],
)
def test_a_bad_query_is_refused(admin: Account, query: str, field: str) -> None:
    assert_error(admin.ext("GET", f"/changes?{query}"), 400, field=field)


def test_a_cursor_of_another_account_is_refused(
    admin: Account, server: Server, database: Database
) -> None:
    cursor = read(database, admin)["next"]
    with new_account(server, database, "admin") as other:
        assert_error(get(other, after=cursor), 400, field="after")


def test_a_page_of_large_values_is_cut(admin: Account, database: Database) -> None:
    size = 700_000
    for number in range(13):
        put(admin, "large", f"{number}" + "x" * size)
    first = read(database, admin)
    assert 1 <= len(first["changes"]) <= changes.PAGE_LIMIT // size + 1 < 13
    second = read(database, admin, after=first["next"])
    assert [event["value"][:2].strip("x") for event in first["changes"] + second["changes"]] == [
        str(number) for number in range(13)
    ]


def test_a_cursor_whose_events_were_forgotten_is_gone(
    admin: Account, database: Database, clock: Clock
) -> None:
    switch_on(admin, "brief", keepChanges=60)
    put(admin, "a")
    start = read(database, admin, limit=1)["next"]
    put(admin, "b", ns="brief")
    end = read(database, admin)["next"]
    clock.advance(seconds=61)
    purge(database)
    assert_error(get(admin, after=start), 410)
    assert_error(get(admin, after=start, ns="brief"), 410)
    assert get(admin, after=end).status_code == 200
    # Nothing was forgotten of what this reader reads.
    assert get(admin, after=start, ns="orders").status_code == 200
    assert names(get(admin).json()) == ["a"]
    assert names(get(admin, after=end, order="desc").json()) == ["a"]


def test_a_cursor_of_another_history_is_gone(admin: Account, database: Database) -> None:
    """A restore from a backup uses positions again."""
    put(admin, "a")
    cursor = read(database, admin)["next"]
    with database.begin() as connection:
        connection.execute(
            text("UPDATE change_head SET epoch = epoch + 1 WHERE account = :account"),
            {"account": admin.id},
        )
    assert_error(get(admin, after=cursor), 410)
    page = read(database, admin)
    assert names(page) == ["a"]
    epoch = page["next"]
    assert get(admin, after=epoch).status_code == 200


def test_a_position_that_the_log_has_not_reached_is_gone(
    admin: Account, database: Database
) -> None:
    with database.begin() as connection:
        epoch = connection.execute(
            text("SELECT epoch FROM change_head WHERE account = :account"), {"account": admin.id}
        ).scalar_one()
    assert_error(get(admin, after=cursor_of(admin.id, Position(epoch, 7))), 410)
    assert_error(get(admin, after=cursor_of(admin.id, Position(epoch, 1))), 410)


def test_a_cursor_from_before_the_first_change_misses_nothing(
    server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as account:
        cursor = get(account, after="now").json()["next"]
        switch_on(account)
        put(account, "a")
        assert names(read(database, account, after=cursor)) == ["a"]


def new_key(
    account: Account, database: Database, *namespaces: str, scope: Scope = Scope.READ
) -> str:
    access = Access(scope, namespaces or None)
    return create_key(database, account.id, terms=KeyTerms(access)).key


def test_a_limited_key_sees_only_its_namespaces(admin: Account, database: Database) -> None:
    for namespace in ("day_1", "day_2", "night"):
        switch_on(admin, namespace)
        put(admin, namespace, ns=namespace)
    put(admin, "orders")
    days = new_key(admin, database, "day_*", "none")
    assert names(read(database, admin, days)) == ["day_1", "day_2"]
    assert names(read(database, admin, days, order="desc", limit=1)) == ["day_2"]
    assert names(read(database, admin, days, ns="day_2")) == ["day_2"]
    assert_error(get(admin, days, ns="orders"), 403)
    assert_error(get(admin, days, ns=["day_1", "orders"]), 403)
    assert names(read(database, admin, new_key(admin, database))) == [
        "day_1",
        "day_2",
        "night",
        "orders",
    ]


def token(account: Account, **members: Any) -> str:
    body = {"ns": "orders", "session": "s1", "scope": "read"} | members
    made: str = account.ext("POST", "/tokens", json=body).json()["token"]
    return made


def test_a_session_token_sees_only_its_session_and_names(
    admin: Account, database: Database
) -> None:
    switch_on(admin, "other")
    for name in "abc":
        put(admin, name)
    put(admin, "a", session="s2")
    put(admin, "a", ns="other")
    all_names, some = token(admin), token(admin, names=["a", "c"])
    assert names(read(database, admin, all_names)) == ["a", "b", "c"]
    assert names(read(database, admin, some)) == ["a", "c"]
    assert names(read(database, admin, some, ns="orders", session="s1", name="c")) == ["c"]
    for refused in (
        {"ns": "other"},
        {"ns": "orders", "session": "s2"},
        {"ns": ["orders", "other"]},
    ):
        assert get(admin, all_names, **refused).status_code in {400, 403}, refused
    assert_error(get(admin, some, ns="orders", session="s1", name="b"), 403)
    assert_error(get(admin, some, name="b"), 403)
    # What happens to the whole namespace happens to the session.
    admin.v1("DELETE", "/orders")
    assert names(read(database, admin, some)) == ["a", "c", "namespace.deleted"]


def test_a_session_token_may_be_in_the_query_here_and_nowhere_else(
    admin: Account, database: Database
) -> None:
    put(admin, "a")
    sequence(database)
    made = token(admin)
    path = f"/ext/v1/{admin.id}/changes"
    response = admin.call("GET", path, {}, params={"access_token": made})
    assert names(response.json()) == ["a"]
    for bad in ("garbage", made + "x", admin.token, admin.key):
        assert_error(admin.call("GET", path, {}, params={"access_token": bad}), 401)
    assert_error(
        admin.call("GET", path, {"Authorization": "Bearer x"}, params={"access_token": made}), 401
    )
    ops = f"/ext/v1/{admin.id}/ops"
    assert_error(admin.call("POST", ops, {}, json={"ops": []}, params={"access_token": made}), 401)


def test_a_session_token_of_another_account_is_refused(
    admin: Account, server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as other:
        path = f"/ext/v1/{admin.id}/changes"
        assert_error(admin.call("GET", path, {}, params={"access_token": token(other)}), 403)
