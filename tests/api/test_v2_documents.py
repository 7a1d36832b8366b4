"""Rows 21 to 25: saving, reading and deleting documents."""

import pytest

from tests.api.answers import assert_error
from tests.support.service import Account

CREATE = "/context/document/create"
PROPERTIES = "/context/document/properties"
DELETES = ("/context/document/property/delete", "/context/document/delete")
# A call's `sessionId`, the path that reads it, and the third part of its `documentKey`.
SESSIONS = [
    ({}, "", ""),
    ({"sessionId": "s1"}, "/s1", "s1"),
    ({"sessionId": "__default__"}, "/__default__", "__default__"),
]


def body(account: Account, **fields: object) -> dict[str, object]:
    return {"accountId": account.id, "nameSpace": "orders"} | fields


def save(account: Account, **fields: object) -> None:
    response = account.v2("POST", CREATE, json=body(account, **fields))
    assert response.status_code == 201, response.text


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_save_answers_201_with_the_key_of_the_document(
    account: Account, method: str, session: dict[str, str], path: str, key: str
) -> None:
    request = body(account, payload={"a": 1, "b": {"c": [None]}}, **session)
    response = account.v2(method, CREATE, json=request)
    assert response.status_code == 201
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == {
        "documentKey": f"{account.id}:orders:{key}",
        "tenantId": account.id,
        "success": True,
    }
    saved = account.v2("GET", f"/context/document/{account.id}/orders{path}")
    assert saved.json()["payload"] == {"a": 1, "b": {"c": [None]}}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_save_replaces_members_and_leaves_those_left_out(account: Account, method: str) -> None:
    save(account, payload={"a": {"deep": 1}, "b": 2})
    account.v2(method, CREATE, json=body(account, payload={"a": {"other": 3}, "c": 4}))
    assert account.v1("GET", "/orders/properties").json() == {
        "a": {"other": 3},
        "b": 2,
        "c": 4,
    }


@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_document_reads_whole(
    account: Account, session: dict[str, str], path: str, key: str
) -> None:
    save(account, payload={"a": 1}, ttlSeconds=3600, **session)
    response = account.v2("GET", f"/context/document/{account.id}/orders{path}")
    assert response.status_code == 200
    document = response.json()
    assert isinstance(document.pop("ttl"), str)
    assert (
        document
        == {
            "accountId": account.id,
            "documentKey": f"{account.id}:orders:{key}",
            "documentType": "CONTEXT",
            "nameSpace": "orders",
            "payload": {"a": 1},
            "tenantId": account.id,
        }
        | session
    )


@pytest.mark.parametrize("path", ["/orders", "/orders/s1", "/never", "/orders/__default__"])
def test_a_document_that_is_not_there_is_not_found(account: Account, path: str) -> None:
    account.v1("PATCH", "/orders/s2/properties", json={"a": 1})
    assert_error(account.v2("GET", f"/context/document/{account.id}{path}"), 404)


def test_the_document_of_a_namespace_holds_no_property_of_a_session(account: Account) -> None:
    save(account, payload={"a": 1})
    save(account, payload={"b": 2}, sessionId="s1")
    document = account.v2("GET", f"/context/document/{account.id}/orders").json()
    assert document["payload"] == {"a": 1}


@pytest.mark.parametrize("session", [{}, {"sessionId": "s1"}, {"sessionId": "__default__"}])
def test_a_filter_reads_those_that_exist(account: Account, session: dict[str, str]) -> None:
    save(account, payload={"a": 1, "b": None, "c": {"d": []}}, **session)
    wanted = ["orders.a", "orders.b", "orders.nothing"]
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted, **session))
    assert response.status_code == 200
    assert response.json() == {"orders.a": 1, "orders.b": None}


@pytest.mark.parametrize("wanted", [[], ["orders.nothing"]])
def test_a_filter_of_nothing_that_exists_reads_an_empty_object(
    account: Account, wanted: list[str]
) -> None:
    save(account, payload={"a": 1})
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted))
    assert response.status_code == 200
    assert response.json() == {}


@pytest.mark.parametrize("name", ["a.b", ".a", "a.", "..", "orders.a", "ä 日 / ? #", "a,b"])
def test_in_a_filter_everything_past_the_first_dot_is_the_name(account: Account, name: str) -> None:
    save(account, payload={name: 1, "other": 2})
    wanted = [f"orders.{name}"]
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted))
    assert response.json() == {f"orders.{name}": 1}


@pytest.mark.parametrize(
    "wanted",
    [
        ["other.a"],
        ["orders.a", "other.a"],
        ["orders2.a"],
        ["Orders.a"],
        ["order.s.a"],
        ["orders"],
        ["orders."],
        ["a"],
        [""],
        [".a"],
        ["orders.\u0007"],
        ["orders." + "x" * 257],
        [1],
        [None],
        "orders.a",
        {"orders.a": 1},
        None,
    ],
)
def test_a_filter_of_another_namespace_or_of_no_name_is_refused(
    account: Account, wanted: object
) -> None:
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted))
    assert_error(response, 400, field="filter")


def test_a_filter_is_needed(account: Account) -> None:
    assert_error(account.v2("POST", PROPERTIES, json=body(account)), 400, field="filter")


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_delete_takes_away_the_properties_it_names(
    account: Account, delete: str, session: dict[str, str], path: str, key: str
) -> None:
    save(account, payload={"a": 1, "b": 2, "c": 3}, **session)
    request = body(account, propertyToDelete=["a", "c", "nothing"], **session)
    response = account.v2("DELETE", delete, json=request)
    assert response.status_code == 200
    assert response.json() == {
        "documentKey": f"{account.id}:orders:{key}",
        "tenantId": account.id,
        "success": True,
    }
    document = account.v2("GET", f"/context/document/{account.id}/orders{path}").json()
    assert document["payload"] == {"b": 2}


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_delete_that_names_no_property_takes_away_the_whole_document(
    account: Account, delete: str, session: dict[str, str], path: str, key: str
) -> None:
    save(account, payload={"a": 1, "b": 2}, **session)
    save(account, payload={"a": 1}, sessionId="other")
    response = account.v2("DELETE", delete, json=body(account, **session))
    assert response.status_code == 200
    assert response.json()["documentKey"] == f"{account.id}:orders:{key}"
    assert_error(account.v2("GET", f"/context/document/{account.id}/orders{path}"), 404)
    assert account.v1("GET", "/orders/other/properties").json() == {"a": 1}


@pytest.mark.parametrize("delete", DELETES)
def test_the_document_of_a_namespace_goes_without_those_of_its_sessions(
    account: Account, delete: str
) -> None:
    save(account, payload={"a": 1})
    save(account, payload={"a": 1}, sessionId="s1")
    account.v2("DELETE", delete, json=body(account))
    assert account.v1("GET", "/orders/session-ids").json() == ["s1"]


@pytest.mark.parametrize("delete", DELETES)
def test_an_empty_list_names_nothing_to_delete(account: Account, delete: str) -> None:
    save(account, payload={"a": 1})
    response = account.v2("DELETE", delete, json=body(account, propertyToDelete=[]))
    assert response.status_code == 200
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize("names", [{}, {"propertyToDelete": ["a"]}])
def test_deleting_what_is_absent_is_fine(
    account: Account, delete: str, names: dict[str, object]
) -> None:
    response = account.v2("DELETE", delete, json=body(account, **names))
    assert response.status_code == 200
    assert response.json()["success"] is True


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize("names", ["a", 1, {"a": 1}, None, [1], [None], [""], ["\u0007"]])
def test_what_to_delete_is_a_list_of_names(account: Account, delete: str, names: object) -> None:
    save(account, payload={"a": 1})
    response = account.v2("DELETE", delete, json=body(account, propertyToDelete=names))
    assert_error(response, 400, field="propertyToDelete")
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", CREATE, {"payload": {"a": 1}}),
        ("PATCH", CREATE, {"payload": {"a": 1}}),
        ("POST", PROPERTIES, {"filter": ["orders.a"]}),
        ("DELETE", DELETES[0], {}),
        ("DELETE", DELETES[1], {}),
    ],
)
@pytest.mark.parametrize("field", ["accountId", "nameSpace"])
def test_account_and_namespace_are_needed_as_names(
    account: Account, method: str, path: str, fields: dict[str, object], field: str
) -> None:
    request = body(account, **fields)
    wrongs: tuple[object, ...] = (None, 1, True, "", [], {}, "a b")
    for wrong in wrongs:
        assert_error(account.v2(method, path, json=request | {field: wrong}), 400, field=field)
    del request[field]
    assert_error(account.v2(method, path, json=request), 400, field=field)


@pytest.mark.parametrize("payload", [None, 1, "text", [], [{"a": 1}], True])
def test_the_payload_is_an_object(account: Account, payload: object) -> None:
    response = account.v2("POST", CREATE, json=body(account, payload=payload))
    assert_error(response, 400, field="payload")


def test_the_payload_is_needed(account: Account) -> None:
    assert_error(account.v2("POST", CREATE, json=body(account)), 400, field="payload")


@pytest.mark.parametrize("session", [None, 1, [], {}, "", "a/b", "\u0007", "properties"])
def test_a_session_is_named_by_a_valid_id(account: Account, session: object) -> None:
    request = body(account, payload={"a": 1}, sessionId=session)
    assert_error(account.v2("POST", CREATE, json=request), 400, field="sessionId")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", CREATE), ("POST", PROPERTIES), ("DELETE", DELETES[0]), ("DELETE", DELETES[1])],
)
@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"', "", "{", "{}}", "{'a': 1}"])
def test_a_body_is_a_json_object(account: Account, method: str, path: str, text: str) -> None:
    json = {"Content-Type": "application/json"}
    assert_error(account.v2(method, path, data=text, headers=json), 400)
