"""The names of section 1: valid names work everywhere, and invalid names are 400 everywhere."""

import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given

from tests.api.answers import assert_empty, assert_error
from tests.api.everyway import WRITES, WRITTEN, Property
from tests.api.rows import RESERVED_NAMESPACES, V1_ROWS, V2_ROWS, v1_rows, v2_rows
from tests.api.strategies import (
    exploring,
    namespaces,
    property_names,
    property_names_in_paths,
    sessions,
)
from tests.support.service import Account, Server

CONTROL = ["\u0000", "a\u0000", "\n", "a\tb", "\u001f", "\u007f", "\u0080", "a\u0085", "\u009f"]
AWKWARD = [
    "?",
    "#",
    "%",
    "%2F",
    "%00",
    "a b",
    " ",
    " a ",
    "+",
    "a&b=c",
    "a;b",
    "a:b@c",
    "ä",
    "日本語",
    "😀",
    "\u200b",
    "\u2028",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "e\u0301",
    "'; DROP TABLE property; --",
    '"',
    "\\",
    "{}",
    "$1",
    "%s",
    ":name",
    "null",
    "a.b",
    "a,b",
    "constructor",
    "x" * 256,
    "😀" * 256,
]
ROWS_WITH_NAMESPACE = [row for row in V1_ROWS if row != "2 GET"]
ROWS_WITH_SESSION = [
    row for row in V1_ROWS if int(row.split()[0]) in {10, 11, 12, 13, 14, 15, 18, 20}
]
ROWS_WITH_NAME = [row for row in V1_ROWS if int(row.split()[0]) in {4, 5, 7, 9, 10, 11, 13, 15}]
V2_ROWS_WITH_SESSION = [row for row in V2_ROWS if not row.startswith("22")]
V2_ROWS_WITH_NAME = [row for row in V2_ROWS_WITH_SESSION if not row.startswith("23")]


def v1(account: Account, row: str, **names: str) -> requests.Response:
    call = v1_rows(**names)[row]
    return account.v1(call.method, call.path, **call.arguments)


def v2(account: Account, row: str, **names: str) -> requests.Response:
    call = v2_rows(account.id, **names)[row]
    return account.v2(call.method, call.path, **call.arguments)


# --- accounts


@pytest.mark.parametrize("account_id", ["x" * 65, "a.b", "a b", "ä", "a:b", "a!", "a\n", "\0"])
def test_an_invalid_account_id_is_refused(
    server: Server, account: Account, account_id: str
) -> None:
    url = f"{server.url}/v1/account/{quote(account_id)}/orders/properties"
    headers = {"maven-api-key": account.key}
    assert_error(requests.get(url, headers=headers, timeout=10), 400)


@pytest.mark.parametrize("account_id", ["x" * 65, "a.b", "a b", "ä", "a:b", "a/b", ""])
def test_an_invalid_account_id_is_refused_in_v2(account: Account, account_id: str) -> None:
    body = {"accountId": account_id, "nameSpace": "orders", "payload": {"a": 1}}
    response = account.v2("POST", "/context/document/create", json=body)
    assert_error(response, 400, field="accountId")


# --- namespaces


@pytest.mark.parametrize("namespace", ["a", "0", "_", "-", "A-b_9", "x" * 128, "namespace"])
@pytest.mark.parametrize("row", ROWS_WITH_NAMESPACE)
def test_a_namespace_of_v1_is_letters_digits_hyphens_and_underscores(
    account: Account, row: str, namespace: str
) -> None:
    account.v1("PATCH", f"/{namespace}/properties", json={"size": 1})
    account.v1("PATCH", f"/{namespace}/s1/properties", json={"size": 1})
    assert v1(account, row, namespace=namespace).status_code == v1_rows()[row].success


@pytest.mark.parametrize(
    "namespace", ["x" * 129, "a.b", "a b", "ä", "a!", "日本", "%", "\n", "a\n"]
)
@pytest.mark.parametrize("row", ROWS_WITH_NAMESPACE)
def test_any_other_namespace_is_refused_in_v1(account: Account, row: str, namespace: str) -> None:
    assert_error(v1(account, row, namespace=namespace), 400)


@pytest.mark.parametrize("namespace", ["a", "0", "_", "A_b9", "x" * 128])
@pytest.mark.parametrize("row", V2_ROWS)
def test_a_namespace_of_v2_is_letters_digits_and_underscores(
    account: Account, row: str, namespace: str
) -> None:
    account.v1("PATCH", f"/{namespace}/properties", json={"size": 1})
    account.v1("PATCH", f"/{namespace}/s1/properties", json={"size": 1})
    assert v2(account, row, namespace=namespace).status_code in {200, 201}


@pytest.mark.parametrize("namespace", ["a-b", "x" * 129, "a.b", "a b", "ä", "a!", "a\n"])
@pytest.mark.parametrize("row", V2_ROWS)
def test_any_other_namespace_is_refused_in_v2(account: Account, row: str, namespace: str) -> None:
    account.v1("PATCH", f"/{quote(namespace)}/properties", json={"size": 1})
    assert_error(v2(account, row, namespace=namespace), 400)


@pytest.mark.parametrize("namespace", RESERVED_NAMESPACES)
@pytest.mark.parametrize("row", ROWS_WITH_NAMESPACE)
def test_a_reserved_namespace_is_refused_on_every_row_of_v1(
    account: Account, row: str, namespace: str
) -> None:
    assert_error(v1(account, row, namespace=namespace), 400)


@pytest.mark.parametrize("namespace", RESERVED_NAMESPACES)
@pytest.mark.parametrize("row", V2_ROWS)
def test_a_reserved_namespace_is_refused_on_every_row_of_v2(
    account: Account, row: str, namespace: str
) -> None:
    assert_error(v2(account, row, namespace=namespace), 400)


@pytest.mark.parametrize("namespace", ["Consumer", "SDE", "faas_", "customs"])
def test_names_similar_to_reserved_ones_are_not_reserved(account: Account, namespace: str) -> None:
    assert_empty(account.v1("PUT", f"/{namespace}/properties/a", json=1))


def test_an_empty_namespace_is_refused(account: Account) -> None:
    assert_error(account.v1("POST", "", json={"name": ""}), 400, field="name")


# --- sessions


@pytest.mark.parametrize("session", ["x" * 257, "😀" * 257, *CONTROL])
@pytest.mark.parametrize("row", ROWS_WITH_SESSION)
def test_an_invalid_session_id_is_refused_in_v1(account: Account, row: str, session: str) -> None:
    assert_error(v1(account, row, session=session), 400)


@pytest.mark.parametrize("session", ["x" * 257, "😀" * 257, *CONTROL])
@pytest.mark.parametrize("row", V2_ROWS_WITH_SESSION)
def test_an_invalid_session_id_is_refused_in_v2(account: Account, row: str, session: str) -> None:
    assert_error(v2(account, row, session=session), 400)


@pytest.mark.parametrize("session", ["properties", "session-ids", "session-properties"])
@pytest.mark.parametrize("row", V2_ROWS_WITH_SESSION)
def test_a_session_that_clashes_with_paths_is_refused_in_v2(
    account: Account, row: str, session: str
) -> None:
    assert_error(v2(account, row, session=session), 400)


@pytest.mark.parametrize("session", ["session-ids", "session-properties"])
@pytest.mark.parametrize("row", ROWS_WITH_SESSION)
def test_a_session_that_clashes_with_paths_is_refused_in_v1(
    account: Account, row: str, session: str
) -> None:
    assert_error(v1(account, row, session=session), 400)


@pytest.mark.parametrize("row", ["18 POST session", "20 DELETE session/s"])
def test_a_session_called_properties_is_refused_outside_paths(account: Account, row: str) -> None:
    assert_error(v1(account, row, session="properties"), 400)


@pytest.mark.parametrize("session", ["", "a/b", "/"])
def test_a_session_in_a_body_is_not_empty_and_has_no_slash(account: Account, session: str) -> None:
    path = "/namespace/orders/session?ttlSecond=60"
    assert_error(account.v1("POST", path, json={"sessionId": session}), 400, field="sessionId")


@pytest.mark.parametrize("session", [*AWKWARD, ".", "..", "__DEFAULT__", "session", "namespace"])
@pytest.mark.parametrize("write", WRITES)
def test_any_other_session_id_works_encoded_and_is_the_same_in_both_versions(
    account: Account, session: str, write: str
) -> None:
    place = Property(account, "a", session=session)
    assert WRITES[write](place, "1").status_code == WRITTEN[write]
    assert set(place.readings().values()) == {1}
    assert account.v1("GET", "/orders/session-ids").json() == [session]


@pytest.mark.parametrize("session", [*AWKWARD, ".", ".."])
def test_a_ttl_is_set_and_deleted_on_any_session(account: Account, session: str) -> None:
    body = {"sessionId": session}
    assert_empty(account.v1("POST", "/namespace/orders/session?ttlSecond=60", json=body))
    (listed,) = account.v1("GET", "/namespace/orders/session").json()
    assert listed["sessionId"] == session
    path = f"/namespace/orders/session/{quote(session, safe='')}"
    assert_empty(account.v1("DELETE", path))
    assert account.v1("GET", "/namespace/orders/session").json() == []


@exploring
@given(session=sessions, namespace=namespaces)
def test_sessions_round_trip_through_both_versions(
    account: Account, session: str, namespace: str
) -> None:
    place = Property(account, "a", session=session, namespace=namespace)
    assert place.put("1").status_code == 204
    assert set(place.readings().values()) == {1}
    place.delete()


# --- property names


@pytest.mark.parametrize("name", ["x" * 257, "😀" * 257, *CONTROL])
@pytest.mark.parametrize("row", ROWS_WITH_NAME)
def test_an_invalid_property_name_is_refused_in_v1(account: Account, row: str, name: str) -> None:
    assert_error(v1(account, row, name=name), 400)


@pytest.mark.parametrize("name", ["x" * 257, "😀" * 257, "", *CONTROL])
@pytest.mark.parametrize("row", V2_ROWS_WITH_NAME)
def test_an_invalid_property_name_is_refused_in_v2(account: Account, row: str, name: str) -> None:
    assert_error(v2(account, row, name=name), 400)


def test_an_empty_property_name_is_refused(account: Account) -> None:
    assert_error(account.v1("PATCH", "/orders/properties", json={"": 1}), 400)


@pytest.mark.parametrize("name", [r"\ud800", r"a\udfff", r"\udc00\ud800", r"\u0000"])
def test_a_property_name_of_lone_surrogates_is_refused(account: Account, name: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = f'{{"{name}": 1}}'
    assert_error(
        account.v1("PATCH", "/orders/properties", data=body.encode(), headers=headers), 400
    )
    envelope = f'{{"accountId":"{account.id}","nameSpace":"orders","payload":{body}}}'
    assert_error(
        account.v2("POST", "/context/document/create", data=envelope, headers=headers), 400
    )
    envelope = f'{{"accountId":"{account.id}","nameSpace":"orders","filter":["orders.{name}"]}}'
    assert_error(
        account.v2("POST", "/context/document/properties", data=envelope, headers=headers), 400
    )
    envelope = f'{{"accountId":"{account.id}","nameSpace":"orders","propertyToDelete":["{name}"]}}'
    assert_error(
        account.v2("DELETE", "/context/document/delete", data=envelope, headers=headers), 400
    )


@pytest.mark.parametrize("session", [r"\ud800", r"\u0000"])
def test_a_session_of_lone_surrogates_is_refused(account: Account, session: str) -> None:
    headers = {"Content-Type": "application/json"}
    path = "/namespace/orders/session?ttlSecond=60"
    body = f'{{"sessionId": "{session}"}}'
    assert_error(account.v1("POST", path, data=body, headers=headers), 400)


@pytest.mark.parametrize("name", [*AWKWARD, "image/png", "/a", "a//b", "/", "a/", "a/../b", "./a"])
@pytest.mark.parametrize("write", WRITES)
def test_any_other_property_name_works_encoded_and_is_the_same_in_both_versions(
    account: Account, name: str, write: str
) -> None:
    place = Property(account, name)
    assert WRITES[write](place, "1").status_code == WRITTEN[write]
    assert set(place.readings().values()) == {1}
    assert account.v1("GET", "/orders/s1/properties").json() == {name: 1}


@exploring
@given(name=property_names_in_paths)
def test_property_names_round_trip_through_both_versions(account: Account, name: str) -> None:
    place = Property(account, name)
    for write, call in WRITES.items():
        place.delete()
        assert call(place, "1").status_code == WRITTEN[write]
        assert set(place.readings().values()) == {1}


@exploring
@given(name=property_names)
def test_every_property_name_is_reached_through_bodies(account: Account, name: str) -> None:
    place = Property(account, name)
    place.delete()
    assert place.patch("1").status_code == 204
    assert set(place.readings_of_bodies().values()) == {1}
    body = {
        "accountId": account.id,
        "nameSpace": "orders",
        "sessionId": "s1",
        "propertyToDelete": [name],
    }
    assert account.v2("DELETE", "/context/document/delete", json=body).status_code == 200
    assert account.v1("GET", place.path).json() == {}


@pytest.mark.parametrize("name", [".", ".."])
def test_names_that_no_path_can_carry_are_reached_through_bodies(
    account: Account, name: str
) -> None:
    place = Property(account, name)
    assert place.create("1").status_code == 201
    assert set(place.readings_of_bodies().values()) == {1}


@pytest.mark.parametrize("place", ["/orders", "/orders/s1"])
def test_an_encoded_slash_and_a_slash_are_the_same_name(account: Account, place: str) -> None:
    assert_empty(account.v1("PUT", f"{place}/properties/image%2Fpng", json=1))
    assert account.v1("GET", f"{place}/properties/image/png").json() == 1
    assert_empty(account.v1("PUT", f"{place}/properties/image/png", json=2))
    assert account.v1("GET", f"{place}/properties/image%2Fpng").json() == 2
    assert account.v1("GET", f"{place}/properties").json() == {"image/png": 2}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a//b", "a//b"),
        ("/a", "/a"),
        ("//a", "//a"),
        ("a/./b", "a/./b"),
        ("a/../b", "a/../b"),
        ("%2e%2e/a", "../a"),
        ("properties", "properties"),
        ("properties/x", "properties/x"),
        ("a/", "a/"),
        ("a%2F", "a/"),
        ("a//", "a//"),
        ("/", "/"),
        ("properties/", "properties/"),
        ("session-ids", "session-ids"),
    ],
)
def test_everything_after_properties_is_the_name_without_merging_or_redirects(
    account: Account, path: str, name: str
) -> None:
    for place in ("/orders", "/orders/s1"):
        url = f"{place}/properties/{path}"
        assert_empty(account.v1("PUT", url, json=1))
        assert account.v1("GET", f"{place}/properties").json() == {name: 1}
        assert account.v1("GET", url).json() == 1
        assert_empty(account.v1("DELETE", url))
        assert account.v1("GET", f"{place}/properties").json() == {}


@pytest.mark.parametrize("slash", ["/", "%2F"])
@pytest.mark.parametrize("place", ["/orders", "/orders/s1"])
def test_a_slash_at_the_end_of_a_name_belongs_to_it(
    account: Account, place: str, slash: str
) -> None:
    properties = f"{place}/properties"
    account.v1("PATCH", properties, json={"a": 1, "a/": 2})
    assert account.v1("GET", f"{properties}/a{slash}").json() == 2
    assert_empty(account.v1("PUT", f"{properties}/a{slash}", json=3))
    assert account.v1("GET", properties).json() == {"a": 1, "a/": 3}
    assert_empty(account.v1("DELETE", f"{properties}/a{slash}"))
    assert account.v1("GET", properties).json() == {"a": 1}


def test_the_trailing_slash_of_a_session_ttl_is_dropped_in_a_namespace_called_properties(
    account: Account,
) -> None:
    body = {"sessionId": "s1"}
    assert_empty(account.v1("POST", "/namespace/properties/session/?ttlSecond=60", json=body))
    # The session's TTL brought the namespace into being; GET of the path would be a property's.
    assert [one["name"] for one in account.v1("GET", "").json()] == ["properties"]


def test_a_plus_in_a_path_is_not_a_space(account: Account) -> None:
    assert_empty(account.v1("PUT", "/orders/a+b/properties/c+d", json=1))
    assert account.v1("GET", "/orders/session-properties").json() == [
        {"sessionId": "a+b", "property": {"c+d": 1}}
    ]


@pytest.mark.parametrize("bad", ["%ff", "%C3", "%ED%A0%80", "a%80", "%C0%AF", "%F5%80%80%80"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/properties/{}"),
        ("PUT", "/orders/properties/{}"),
        ("DELETE", "/orders/properties/{}"),
        ("GET", "/orders/{}/properties"),
        ("PATCH", "/orders/{}/properties"),
        ("DELETE", "/orders/{}/properties"),
        ("GET", "/{}/properties"),
        ("DELETE", "/{}"),
        ("DELETE", "/namespace/orders/session/{}"),
        ("GET", "/orders/properties?include={}"),
    ],
)
def test_invalid_utf_8_is_refused(account: Account, method: str, path: str, bad: str) -> None:
    arguments: dict[str, Any] = {"json": {"a": 1}} if method in {"PUT", "PATCH"} else {}
    assert_error(account.v1(method, path.format(bad), **arguments), 400)


@pytest.mark.parametrize("bad", ["%ff", "%C3", "%ED%A0%80"])
def test_invalid_utf_8_is_refused_in_v2(account: Account, bad: str) -> None:
    path = f"/context/document/{account.id}"
    assert_error(account.v2("GET", f"{path}/{bad}"), 400)
    assert_error(account.v2("GET", f"{path}/orders/{bad}"), 400)


@pytest.mark.parametrize("body", [b'{"a\xff": 1}', b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}'])
def test_invalid_utf_8_in_a_body_is_refused(account: Account, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert_error(account.v1("PATCH", "/orders/properties", data=body, headers=headers), 400)
    envelope = json.dumps({"accountId": account.id, "nameSpace": "orders"})[:-1].encode()
    request = envelope + b', "payload": ' + body + b"}"
    assert_error(account.v2("POST", "/context/document/create", data=request, headers=headers), 400)
