"""The activity of an account over HTTP: what a credential sees of it."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.cursors import new_cursor
from ccs_server.store import credentials
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from ccs_server.store.namespaces import ensure_namespace
from tests.api.answers import TIMESTAMP, assert_error
from tests.support.service import Account

NOTHING = {"count": 0, "estimated": False}
ONE = {"count": 1, "estimated": False}
TWO = {"count": 2, "estimated": False}


def limited_key(database: Database, account: Account, *namespaces: str) -> str:
    terms = KeyTerms(Access(Scope.READ, namespaces or None))
    return credentials.create_key(database, account.id, terms=terms).key


def activity(account: Account, key: str = "", **parameters: str) -> dict[str, Any]:
    response = account.ext(
        "GET", "/activity", params=parameters, headers={"maven-api-key": key or account.key}
    )
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture
def filled(account: Account) -> Account:
    """An account with two namespaces, one of which has a time to live."""
    account.v1("POST", "?ttlSecond=600", json={"name": "orders"})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 1, "colour": "red"})
    account.v1("PATCH", "/flights/properties", json={"hubs": 1})
    return account


def test_it_has_counts_expiries_and_the_last_hour(filled: Account) -> None:
    found = activity(filled)
    assert found["properties"] == {"count": 3, "estimated": False}
    assert found["sessions"] == TWO
    assert found["namespaces"] == [
        {"ns": "flights", "ttlSecond": 0, "properties": ONE, "sessions": ONE},
        {"ns": "orders", "ttlSecond": 600, "properties": TWO, "sessions": ONE},
    ]
    assert [each["properties"] for each in found["expiring"]] == [
        NOTHING,
        TWO,
        *[NOTHING] * 10,
    ]
    assert "next" not in found
    for times, step in (
        ([each["time"] for each in found["minutes"]], timedelta(minutes=1)),
        ([each["time"] for each in found["expiring"]], timedelta(minutes=5)),
    ):
        assert all(map(TIMESTAMP.fullmatch, times))
        moments = [*map(datetime.fromisoformat, times)]
        assert all(after - before == step for before, after in pairwise(moments))
    assert found["expiring"][0]["time"] == found["time"]
    assert len(found["minutes"]) == 60
    assert all(each.keys() == {"time", "saves", "reads"} for each in found["minutes"])


def test_a_limited_key_sees_its_namespaces_and_nothing_of_the_account(
    filled: Account, database: Database
) -> None:
    found = activity(filled, limited_key(database, filled, "fl*", "none"))
    assert found.keys() == {"time", "namespaces", "expiring"}
    assert [each["ns"] for each in found["namespaces"]] == ["flights"]
    assert all(each["properties"] == NOTHING for each in found["expiring"])
    assert activity(filled, limited_key(database, filled)).keys() == activity(filled).keys()


def test_a_session_token_sees_nothing(filled: Account) -> None:
    token = filled.ext(
        "POST", "/tokens", json={"ns": "orders", "session": "s1", "scope": "write"}
    ).json()["token"]
    assert_error(filled.ext("GET", "/activity", headers={"maven-api-key": token}), 403)


def test_a_user_sees_it_with_a_token(filled: Account) -> None:
    response = filled.ext(
        "GET",
        "/activity",
        headers={"maven-api-key": None, "Authorization": f"Bearer {filled.token}"},
    )
    assert response.status_code == 200


def test_namespaces_are_listed_a_hundred_at_a_time(account: Account, database: Database) -> None:
    names = [f"n{number:03}" for number in range(150)]
    with database.transaction() as connection:
        for name in names:
            ensure_namespace(connection, account.id, name, len(names))
    first = activity(account)
    rest = activity(account, after=first["next"])
    assert [each["ns"] for each in first["namespaces"] + rest["namespaces"]] == names
    assert len(first["namespaces"]) == 100
    assert "next" not in rest


@pytest.mark.parametrize("query", ["after=x", "after=", "limit=1", "after=a&after=b", "ns=orders"])
def test_unknown_parameters_and_malformed_cursors_are_refused(account: Account, query: str) -> None:
    assert_error(account.ext("GET", f"/activity?{query}"), 400)


def test_a_cursor_of_another_account_is_refused(account: Account) -> None:
    cursor = new_cursor(("activity", "other"), "orders")
    assert_error(account.ext("GET", "/activity", params={"after": cursor}), 400, field="after")
