"""v1 and v2 share one store, `__default__` means no session, and accounts share nothing."""

from urllib.parse import quote

import pytest

from tests.api.answers import assert_empty, assert_error
from tests.support.service import Account

NAMESPACE_PATHS = ("/orders/properties", "/orders/__default__/properties")


def create(account: Account, **fields: object) -> None:
    body = {"accountId": account.id, "nameSpace": "orders"} | fields
    assert account.v2("POST", "/context/document/create", json=body).status_code == 201


def payload(account: Account, path: str) -> object:
    response = account.v2("GET", f"/context/document/{account.id}{path}")
    assert response.status_code == 200, response.text
    return response.json()["payload"]


@pytest.mark.parametrize("written", NAMESPACE_PATHS)
@pytest.mark.parametrize("read", NAMESPACE_PATHS)
def test_default_and_no_session_are_the_same_place(
    account: Account, written: str, read: str
) -> None:
    assert_empty(account.v1("PATCH", written, json={"a": 1}))
    assert_empty(account.v1("PUT", f"{written}/b", json=2))
    assert account.v1("GET", read).json() == {"a": 1, "b": 2}
    assert account.v1("GET", f"{read}/b").json() == 2
    assert_empty(account.v1("DELETE", f"{read}/b"))
    assert account.v1("GET", written).json() == {"a": 1}
    assert_empty(account.v1("DELETE", read))
    assert account.v1("GET", written).json() == {}


@pytest.mark.parametrize("written", [{}, {"sessionId": "__default__"}])
@pytest.mark.parametrize("path", ["/orders", "/orders/__default__"])
def test_v2_without_a_session_is_the_same_place_too(
    account: Account, written: dict[str, object], path: str
) -> None:
    create(account, payload={"a": 1}, **written)
    assert payload(account, path) == {"a": 1}
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}
    assert account.v1("GET", "/orders/session-ids").json() == ["__default__"]


@pytest.mark.parametrize("session", ["", "/s1", "/__default__"])
def test_v2_reads_properties_that_v1_saved(account: Account, session: str) -> None:
    account.v1("PATCH", f"/orders{session}/properties", json={"a": {"b": [1, None]}})
    assert payload(account, f"/orders{session}") == {"a": {"b": [1, None]}}


@pytest.mark.parametrize("session", ["", "/s1", "/__default__"])
def test_v1_reads_properties_that_v2_saved(account: Account, session: str) -> None:
    fields = {"sessionId": session[1:]} if session else {}
    create(account, payload={"a": {"b": [1, None]}}, **fields)
    assert account.v1("GET", f"/orders{session}/properties").json() == {"a": {"b": [1, None]}}
    assert account.v1("GET", f"/orders{session}/properties/a").json() == {"b": [1, None]}


def test_both_versions_upsert_into_one_document(account: Account) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={"a": 1, "b": 1})
    create(account, sessionId="s1", payload={"b": 2, "c": 2})
    account.v1("PUT", "/orders/s1/properties/c", json=3)
    assert payload(account, "/orders/s1") == {"a": 1, "b": 2, "c": 3}


def test_properties_deleted_by_one_version_are_gone_for_the_other(account: Account) -> None:
    create(account, sessionId="s1", payload={"a": 1, "b": 2, "c": 3})
    account.v1("DELETE", "/orders/s1/properties/a")
    body = {"accountId": account.id, "nameSpace": "orders", "sessionId": "s1"}
    account.v2(
        "DELETE", "/context/document/property/delete", json=body | {"propertyToDelete": ["b"]}
    )
    assert account.v1("GET", "/orders/s1/properties").json() == {"c": 3}
    account.v1("DELETE", "/orders")
    assert_error(account.v2("GET", f"/context/document/{account.id}/orders/s1"), 404)


def test_accounts_share_nothing(account: Account, other_account: Account) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("POST", "/namespace/orders/session?ttlSecond=100", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/properties", json={"a": "mine"})
    account.v1("PATCH", "/orders/s1/properties", json={"a": "mine"})

    assert other_account.v1("GET", "").json() == []
    assert other_account.v1("GET", "/orders/properties").json() == {}
    assert other_account.v1("GET", "/orders/s1/properties").json() == {}
    assert other_account.v1("GET", "/orders/session-ids").json() == []
    assert other_account.v1("GET", "/orders/session-properties").json() == []
    assert other_account.v1("GET", "/namespace/orders/session").json() == []
    assert_error(other_account.v1("GET", "/orders/properties/a"), 404)
    assert_error(other_account.v2("GET", f"/context/document/{other_account.id}/orders"), 404)


def test_writes_and_deletes_of_one_account_touch_no_other(
    account: Account, other_account: Account
) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": "mine"})
    account.v1("PATCH", "/orders/s1/properties", json={"a": "mine"})
    other_account.v1("PATCH", "/orders/properties", json={"a": "theirs"})
    other_account.v1("DELETE", "/namespace/orders/session/s1")
    other_account.v1("DELETE", "/orders/s1/properties")
    assert account.v1("GET", "/orders/properties").json() == {"a": "mine"}
    other_account.v1("DELETE", "/orders")
    assert account.v1("GET", "/orders/properties").json() == {"a": "mine"}
    assert account.v1("GET", "/orders/s1/properties").json() == {"a": "mine"}


@pytest.mark.parametrize(
    ("one", "other"), [("size", "Size"), ("é", "e\u0301"), ("a", "a "), ("%2F", "/"), ("1", "01")]
)
def test_names_that_look_alike_are_different_names(account: Account, one: str, other: str) -> None:
    account.v1("PATCH", "/orders/s1/properties", json={one: 1, other: 2})
    assert account.v1("GET", "/orders/s1/properties").json() == {one: 1, other: 2}


def test_names_are_case_sensitive(account: Account) -> None:
    places = ("/orders/s1", "/Orders/s1", "/orders/S1")
    for number, place in enumerate(places):
        account.v1("PUT", f"{place}/properties/a", json=number)
    for number, place in enumerate(places):
        assert account.v1("GET", f"{place}/properties").json() == {"a": number}


@pytest.mark.parametrize("session", ["é", "e\u0301", "a b", "%2F"])
def test_a_session_is_the_same_in_v1_and_v2(account: Account, session: str) -> None:
    create(account, sessionId=session, payload={"a": 1})
    path = quote(session, safe="")
    assert account.v1("GET", f"/orders/{path}/properties").json() == {"a": 1}
    assert payload(account, f"/orders/{path}") == {"a": 1}
    assert account.v1("GET", "/orders/session-ids").json() == [session]
