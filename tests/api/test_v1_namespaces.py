"""Rows 1 to 3: registering, listing and deleting namespaces."""

import pytest

from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account


def listed(account: Account) -> dict[str, dict[str, object]]:
    response = account.v1("GET", "")
    assert response.status_code == 200
    namespaces = response.json()
    by_name = {namespace["name"]: namespace for namespace in namespaces}
    assert len(by_name) == len(namespaces)
    return by_name


def test_an_account_begins_without_namespaces(account: Account) -> None:
    response = account.v1("GET", "")
    assert response.status_code == 200
    assert response.json() == []


def test_a_registered_namespace_is_listed_with_name_and_creation_time_only(
    account: Account,
) -> None:
    assert_empty(account.v1("POST", "", json={"name": "orders"}))
    namespace = listed(account)["orders"]
    assert namespace.keys() == {"name", "createdAt"}
    assert TIMESTAMP.fullmatch(str(namespace["createdAt"]))


def test_a_namespace_with_a_ttl_is_listed_with_it(account: Account) -> None:
    assert_empty(account.v1("POST", "?ttlSecond=100", json={"name": "orders"}))
    assert listed(account)["orders"]["ttlSecond"] == 100


def test_a_ttl_of_0_is_left_out_of_the_list(account: Account) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    assert_empty(account.v1("POST", "?ttlSecond=0", json={"name": "orders"}))
    assert "ttlSecond" not in listed(account)["orders"]


@pytest.mark.parametrize("path", ["/orders/properties", "/orders/s1/properties"])
def test_saving_a_property_creates_its_namespace(account: Account, path: str) -> None:
    assert_empty(account.v1("PATCH", path, json={"size": 1}))
    assert TIMESTAMP.fullmatch(str(listed(account)["orders"]["createdAt"]))


def test_saving_through_v2_creates_the_namespace(account: Account) -> None:
    body = {"accountId": account.id, "nameSpace": "orders", "payload": {"size": 1}}
    assert account.v2("POST", "/context/document/create", json=body).status_code == 201
    assert listed(account).keys() == {"orders"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/properties"),
        ("GET", "/orders/properties/size"),
        ("GET", "/orders/s1/properties"),
        ("GET", "/orders/session-ids"),
        ("GET", "/orders/session-properties"),
        ("GET", "/namespace/orders/session"),
        ("DELETE", "/orders"),
        ("DELETE", "/orders/properties"),
        ("DELETE", "/orders/properties/size"),
        ("DELETE", "/orders/s1/properties"),
        ("DELETE", "/namespace/orders/session/s1"),
    ],
)
def test_reading_and_deleting_create_no_namespace(account: Account, method: str, path: str) -> None:
    assert account.v1(method, path).status_code in {200, 204, 404}
    assert listed(account) == {}


def test_registering_twice_is_harmless(account: Account, clock: Clock) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    before = listed(account)
    clock.advance(seconds=10)
    assert_empty(account.v1("POST", "", json={"name": "orders"}))
    assert listed(account) == before
    assert account.v1("GET", "/orders/properties").json() == {"size": 1}


def test_a_namespace_keeps_its_creation_time_when_it_is_written(
    account: Account, clock: Clock
) -> None:
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    before = listed(account)
    clock.advance(seconds=10)
    account.v1("PATCH", "/orders/properties", json={"size": 2})
    assert listed(account) == before


def test_all_of_many_namespaces_are_listed(account: Account) -> None:
    names = {f"orders{number}" for number in range(120)}
    for name in names:
        assert_empty(account.v1("POST", "", json={"name": name}))
    assert listed(account).keys() == names


def test_deleting_a_namespace_deletes_everything_in_it(account: Account) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("POST", "/namespace/orders/session?ttlSecond=50", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 1})

    assert_empty(account.v1("DELETE", "/orders"))

    assert listed(account) == {}
    assert account.v1("GET", "/orders/properties").json() == {}
    assert account.v1("GET", "/orders/s1/properties").json() == {}
    assert account.v1("GET", "/orders/session-ids").json() == []
    assert account.v1("GET", "/orders/session-properties").json() == []
    assert account.v1("GET", "/namespace/orders/session").json() == []


def test_a_namespace_that_is_created_again_has_no_old_data_or_ttls(
    account: Account, clock: Clock
) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("POST", "/namespace/orders/session?ttlSecond=50", json={"sessionId": "s1"})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 1, "old": True})
    account.v1("DELETE", "/orders")

    account.v1("PATCH", "/orders/properties", json={"size": 2})
    account.v1("PATCH", "/orders/s1/properties", json={"size": 2})
    clock.advance(seconds=101)

    assert account.v1("GET", "/orders/properties").json() == {"size": 2}
    assert account.v1("GET", "/orders/s1/properties").json() == {"size": 2}
    assert "ttlSecond" not in listed(account)["orders"]
    assert account.v1("GET", "/namespace/orders/session").json() == []


def test_deleting_a_namespace_does_not_affect_others(account: Account) -> None:
    for namespace in ("orders", "orders2", "Orders"):
        account.v1("PATCH", f"/{namespace}/properties", json={"size": 1})
    account.v1("DELETE", "/orders")
    assert listed(account).keys() == {"orders2", "Orders"}
    assert account.v1("GET", "/orders2/properties").json() == {"size": 1}


def test_deleting_an_absent_namespace_is_not_an_error(account: Account) -> None:
    assert_empty(account.v1("DELETE", "/never"))


def test_a_namespace_outlives_its_data(account: Account, clock: Clock) -> None:
    account.v1("POST", "?ttlSecond=10", json={"name": "orders"})
    account.v1("PATCH", "/orders/properties", json={"size": 1})
    clock.advance(seconds=11)
    assert listed(account).keys() == {"orders"}
    account.v1("DELETE", "/orders/properties")
    assert listed(account).keys() == {"orders"}


@pytest.mark.parametrize(
    "body", [{}, {"nmae": "orders"}, {"name": None}, {"name": 1}, {"name": ["orders"]}]
)
def test_the_name_of_a_namespace_must_be_a_string(
    account: Account, body: dict[str, object]
) -> None:
    assert_error(account.v1("POST", "", json=body), 400, field="name")


@pytest.mark.parametrize("body", ["[]", '"orders"', "null", "1"])
def test_the_body_that_registers_a_namespace_must_be_an_object(account: Account, body: str) -> None:
    response = account.v1("POST", "", data=body, headers={"Content-Type": "application/json"})
    assert_error(response, 400)
