"""Rows 21 to 25: saving, reading and deleting documents."""

import pytest

from tests.api.answers import assert_error
from tests.support.service import Account

CREATE = "/context/document/create"
PROPERTIES = "/context/document/properties"
DELETES = ("/context/document/property/delete", "/context/document/delete")
# The `sessionId` of a call, the path that reads its document, and the third part of its `documentKey`.
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
def test_a_save_replaces_members_and_keeps_those_left_out(account: Account, method: str) -> None:
    save(account, payload={"a": {"deep": 1}, "b": 2})
    account.v2(method, CREATE, json=body(account, payload={"a": {"other": 3}, "c": 4}))
    assert account.v1("GET", "/orders/properties").json() == {
        "a": {"other": 3},
        "b": 2,
        "c": 4,
    }


@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_document_is_returned_with_all_its_members(
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
def test_an_absent_document_is_not_found(account: Account, path: str) -> None:
    account.v1("PATCH", "/orders/s2/properties", json={"a": 1})
    assert_error(account.v2("GET", f"/context/document/{account.id}{path}"), 404)


def test_the_document_of_a_namespace_has_no_session_properties(account: Account) -> None:
    save(account, payload={"a": 1})
    save(account, payload={"b": 2}, sessionId="s1")
    document = account.v2("GET", f"/context/document/{account.id}/orders").json()
    assert document["payload"] == {"a": 1}


@pytest.mark.parametrize("session", [{}, {"sessionId": "s1"}, {"sessionId": "__default__"}])
def test_a_filter_returns_the_properties_that_exist(
    account: Account, session: dict[str, str]
) -> None:
    save(account, payload={"a": 1, "b": None, "c": {"d": []}}, **session)
    wanted = ["orders.a", "orders.b", "orders.nothing"]
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted, **session))
    assert response.status_code == 200
    assert response.json() == {"orders.a": 1, "orders.b": None}


@pytest.mark.parametrize("wanted", [[], ["orders.nothing"]])
def test_a_filter_of_absent_properties_returns_an_empty_object(
    account: Account, wanted: list[str]
) -> None:
    save(account, payload={"a": 1})
    response = account.v2("POST", PROPERTIES, json=body(account, filter=wanted))
    assert response.status_code == 200
    assert response.json() == {}


@pytest.mark.parametrize("name", ["a.b", ".a", "a.", "..", "orders.a", "ä 日 / ? #", "a,b"])
def test_in_a_filter_everything_after_the_first_dot_is_the_name(
    account: Account, name: str
) -> None:
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


def test_a_filter_is_required(account: Account) -> None:
    assert_error(account.v2("POST", PROPERTIES, json=body(account)), 400, field="filter")


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize(("session", "path", "key"), SESSIONS)
def test_a_delete_removes_the_named_properties(
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
def test_a_delete_that_names_no_property_removes_the_whole_document(
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
def test_deleting_the_document_of_a_namespace_keeps_those_of_its_sessions(
    account: Account, delete: str
) -> None:
    save(account, payload={"a": 1})
    save(account, payload={"a": 1}, sessionId="s1")
    account.v2("DELETE", delete, json=body(account))
    assert account.v1("GET", "/orders/session-ids").json() == ["s1"]


@pytest.mark.parametrize("delete", DELETES)
def test_a_delete_with_an_empty_list_deletes_nothing(account: Account, delete: str) -> None:
    save(account, payload={"a": 1})
    response = account.v2("DELETE", delete, json=body(account, propertyToDelete=[]))
    assert response.status_code == 200
    assert account.v1("GET", "/orders/properties").json() == {"a": 1}


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize("names", [{}, {"propertyToDelete": ["a"]}])
def test_deleting_an_absent_document_is_not_an_error(
    account: Account, delete: str, names: dict[str, object]
) -> None:
    response = account.v2("DELETE", delete, json=body(account, **names))
    assert response.status_code == 200
    assert response.json()["success"] is True


@pytest.mark.parametrize("delete", DELETES)
@pytest.mark.parametrize("names", ["a", 1, {"a": 1}, None, [1], [None], [""], ["\u0007"]])
def test_the_properties_to_delete_must_be_a_list_of_names(
    account: Account, delete: str, names: object
) -> None:
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
def test_account_and_namespace_are_required_and_must_be_names(
    account: Account, method: str, path: str, fields: dict[str, object], field: str
) -> None:
    request = body(account, **fields)
    wrongs: tuple[object, ...] = (None, 1, True, "", [], {}, "a b")
    for wrong in wrongs:
        assert_error(account.v2(method, path, json=request | {field: wrong}), 400, field=field)
    del request[field]
    assert_error(account.v2(method, path, json=request), 400, field=field)


@pytest.mark.parametrize("payload", [None, 1, "text", [], [{"a": 1}], True])
def test_the_payload_must_be_an_object(account: Account, payload: object) -> None:
    response = account.v2("POST", CREATE, json=body(account, payload=payload))
    assert_error(response, 400, field="payload")


def test_the_payload_is_required(account: Account) -> None:
    assert_error(account.v2("POST", CREATE, json=body(account)), 400, field="payload")


@pytest.mark.parametrize("session", [None, 1, [], {}, "", "a/b", "\u0007", "properties"])
def test_the_session_id_must_be_valid(account: Account, session: object) -> None:
    request = body(account, payload={"a": 1}, sessionId=session)
    assert_error(account.v2("POST", CREATE, json=request), 400, field="sessionId")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", CREATE), ("POST", PROPERTIES), ("DELETE", DELETES[0]), ("DELETE", DELETES[1])],
)
@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"', "", "{", "{}}", "{'a': 1}"])
def test_the_body_must_be_a_json_object(
    account: Account, method: str, path: str, text: str
) -> None:
    json = {"Content-Type": "application/json"}
    assert_error(account.v2(method, path, data=text, headers=json), 400)
