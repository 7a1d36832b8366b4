"""Rows 16 to 20: listing sessions, setting and listing their TTLs, and deleting sessions."""

import pytest

from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account


def with_ttl(account: Account) -> dict[str, object]:
    """Returns the TTL of each session in row 19."""
    response = account.v1("GET", "/namespace/orders/session")
    assert response.status_code == 200
    return {session["sessionId"]: session["ttlSecond"] for session in response.json()}


def test_session_ids_are_those_with_live_properties(account: Account, clock: Clock) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    account.v1("PATCH", "/orders/kept/properties", json={"a": 1})
    account.v1("PATCH", "/orders/emptied/properties", json={"a": 1})
    account.v1("DELETE", "/orders/emptied/properties/a")
    account.v1("POST", "/namespace/orders/session?ttlSecond=10", json={"sessionId": "expired"})
    account.v1("PATCH", "/orders/expired/properties", json={"a": 1})
    account.v1("POST", "/namespace/orders/session?ttlSecond=10", json={"sessionId": "never"})
    account.v1("PATCH", "/other/elsewhere/properties", json={"a": 1})
    clock.advance(seconds=11)
    response = account.v1("GET", "/orders/session-ids")
    assert response.status_code == 200
    assert response.json() == ["__default__", "kept"]


def test_the_default_session_is_listed_only_with_namespace_properties(account: Account) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"a": 1})
    assert account.v1("GET", "/orders/session-ids").json() == ["s1"]


def test_session_properties_are_listed_by_session(account: Account) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    account.v1("PATCH", "/orders/s1/properties", json={"b": {"c": [2]}, "d": None})
    response = account.v1("GET", "/orders/session-properties")
    assert response.status_code == 200
    assert response.json() == [
        {"sessionId": "__default__", "property": {"a": 1}},
        {"sessionId": "s1", "property": {"b": {"c": [2]}, "d": None}},
    ]


@pytest.mark.parametrize("row", ["session-ids", "session-properties"])
def test_a_namespace_without_sessions_lists_none(account: Account, row: str) -> None:
    response = account.v1("GET", f"/orders/{row}")
    assert response.status_code == 200
    assert response.json() == []


def test_sessions_with_a_ttl_are_listed(account: Account) -> None:
    assert_empty(
        account.v1("POST", "/namespace/orders/session?ttlSecond=100", json={"sessionId": "s1"})
    )
    account.v1("PATCH", "/orders/s2/properties", json={"a": 1})
    response = account.v1("GET", "/namespace/orders/session")
    assert response.status_code == 200
    (session,) = response.json()
    assert session.keys() == {"sessionId", "createdAt", "ttlSecond"}
    assert session["sessionId"] == "s1"
    assert session["ttlSecond"] == 100
    assert TIMESTAMP.fullmatch(session["createdAt"])


def test_an_explicit_ttl_of_0_is_listed_too(account: Account) -> None:
    account.v1("POST", "/namespace/orders/session?ttlSecond=0", json={"sessionId": "s1"})
    assert with_ttl(account) == {"s1": 0}


def test_a_session_ttl_can_be_set_again(account: Account, clock: Clock) -> None:
    account.v1("POST", "/namespace/orders/session?ttlSecond=100", json={"sessionId": "s1"})
    (before,) = account.v1("GET", "/namespace/orders/session").json()
    clock.advance(seconds=10)
    account.v1("POST", "/namespace/orders/session?ttlSecond=200", json={"sessionId": "s1"})
    (after,) = account.v1("GET", "/namespace/orders/session").json()
    assert after == before | {"ttlSecond": 200}


def test_registering_a_session_twice_keeps_its_ttl(account: Account) -> None:
    account.v1("POST", "/namespace/orders/session?ttlSecond=100", json={"sessionId": "s1"})
    assert_empty(account.v1("POST", "/namespace/orders/session", json={"sessionId": "s1"}))
    assert with_ttl(account) == {"s1": 100}


def test_session_ttls_are_listed_by_namespace(account: Account) -> None:
    account.v1("POST", "/namespace/other/session?ttlSecond=100", json={"sessionId": "s1"})
    assert with_ttl(account) == {}


def test_deleting_a_session_deletes_its_properties_and_its_ttl(account: Account) -> None:
    for session in ("s1", "s2"):
        body = {"sessionId": session}
        account.v1("POST", "/namespace/orders/session?ttlSecond=100", json=body)
        account.v1("PATCH", f"/orders/{session}/properties", json={"a": 1})
    account.v1("PATCH", "/orders/properties", json={"a": 1})

    assert_empty(account.v1("DELETE", "/namespace/orders/session/s1"))

    assert account.v1("GET", "/orders/s1/properties").json() == {}
    assert account.v1("GET", "/orders/session-ids").json() == ["__default__", "s2"]
    assert with_ttl(account) == {"s2": 100}


def test_deleting_an_absent_session_is_not_an_error(account: Account) -> None:
    assert_empty(account.v1("DELETE", "/namespace/orders/session/s1"))


def test_a_ttl_of_the_default_session_is_refused(account: Account) -> None:
    response = account.v1(
        "POST", "/namespace/orders/session?ttlSecond=60", json={"sessionId": "__default__"}
    )
    assert_error(response, 400)
    assert "namespace" in response.json()["message"]


@pytest.mark.parametrize("body", [{}, {"session": "s1"}, {"sessionId": None}, {"sessionId": 1}])
def test_the_id_of_a_session_must_be_a_string(account: Account, body: dict[str, object]) -> None:
    response = account.v1("POST", "/namespace/orders/session?ttlSecond=60", json=body)
    assert_error(response, 400, field="sessionId")
