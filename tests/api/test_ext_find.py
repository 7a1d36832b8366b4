"""Finding sessions over HTTP: the body, cursors, counts, errors. `tests/store/test_find.py` checks what is found."""

import json
from typing import Any

import pytest
from requests import Response

from ccs_server.api.policy import RequestPolicy
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH, new_cursor
from ccs_server.store.credentials import KeyTerms, create_key
from ccs_server.store.database import Database
from tests.api.answers import TIMESTAMP, assert_error
from tests.support.clock import Clock
from tests.support.service import Account, Server, new_account
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}


def post(account: Account, body: object, namespace: str = "orders", **options: Any) -> Response:
    path = f"/ext/v1/{account.id}/namespaces/{namespace}/find"
    return account.call("POST", path, {"maven-api-key": account.key}, json=body, **options)


def post_text(account: Account, body: str) -> Response:
    path = f"/ext/v1/{account.id}/namespaces/orders/find"
    return account.call("POST", path, {"maven-api-key": account.key} | JSON, data=body.encode())


def find(account: Account, **body: Any) -> dict[str, Any]:
    response = post(account, body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def ids(page: dict[str, Any]) -> list[str]:
    return [session["sessionId"] for session in page["sessions"]]


def fill(account: Account, sessions: dict[str, dict[str, object]]) -> None:
    for session, properties in sessions.items():
        path = f"/orders/{session}/properties"
        assert account.v1("PATCH", path, json=properties).status_code == 204


CALLERS: dict[str, dict[str, object]] = {
    "s1": {"status": "open", "score": 5, "tags": ["a"]},
    "s2": {"status": "closed", "score": 7.5},
    "s3": {"status": "open", "score": "7"},
    "s4": {"status": None, "vip": True},
}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, ["s1", "s2", "s3", "s4"]),
        ({"status": "open"}, ["s1", "s3"]),
        ({"status": "open", "score": {"$gte": 5}}, ["s1"]),
        ({"score": {"$gt": 5, "$lt": 8}}, ["s2"]),
        ({"score": {"$lte": "7"}}, ["s3"]),
        ({"score": {"$in": [5.0, "7", True]}}, ["s1", "s3"]),
        ({"status": {"$ne": "open"}}, ["s2"]),
        ({"status": None}, ["s4"]),
        ({"status": {"$prefix": "clo"}}, ["s2"]),
        ({"tags": {"$exists": True}}, ["s1"]),
        ({"vip": {"$exists": False}}, ["s1", "s2", "s3"]),
        ({"vip": {"$ne": False}}, ["s4"]),
        ({"tags": {"$ne": "a"}}, []),
        ({"none": 1}, []),
    ],
)
def test_sessions_are_found_by_their_properties(
    account: Account, where: dict[str, object], found: list[str]
) -> None:
    fill(account, CALLERS)
    assert ids(find(account, where=where)) == found


def test_an_empty_body_finds_the_first_100_sessions_without_properties(account: Account) -> None:
    sessions = [f"s{number:03}" for number in range(101)]
    fill(account, {session: {"a": 1} for session in sessions})
    page = find(account)
    assert ids(page) == sessions[:100]
    for session in page["sessions"]:
        assert session.keys() == {"sessionId", "updatedAt"}
        assert TIMESTAMP.fullmatch(session["updatedAt"])
    last = find(account, after=page["next"])
    assert ids(last) == sessions[100:]
    assert last.keys() == {"sessions"}


def test_fields_are_returned_as_they_were_saved(account: Account) -> None:
    path = "/orders/s1/properties"
    body = b'{"a":12345678901234567890.10,"b":{"c":[null]},"d":"x"}'
    assert account.v1("PATCH", path, data=body, headers=JSON).status_code == 204
    whole = post(account, {"fields": True})
    assert b"12345678901234567890.10" in whole.content
    assert whole.json()["sessions"][0]["properties"].keys() == {"a", "b", "d"}
    some = find(account, where={"d": "x"}, fields=["b", "none"])
    assert some["sessions"][0]["properties"] == {"b": {"c": [None]}}
    assert "properties" not in find(account, fields=False)["sessions"][0]


def test_the_default_session_is_a_session_like_others(account: Account) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    fill(account, {"s1": {"a": 1}, "A": {"a": 2}})
    assert ids(find(account, where={"a": {"$lte": 1}})) == ["__default__", "s1"]
    assert ids(find(account, sessionPrefix="__")) == ["__default__"]


def test_what_v2_saves_is_found_until_it_expires(account: Account, clock: Clock) -> None:
    body = {"accountId": account.id, "nameSpace": "orders", "sessionId": "s1", "ttlSeconds": 60}
    payload = {"payload": {"status": "open"}}
    assert account.v2("POST", "/context/document/create", json=body | payload).ok
    assert ids(find(account, where={"status": "open"})) == ["s1"]
    clock.advance(seconds=61)
    assert ids(find(account, where={"status": "open"})) == []
    assert ids(find(account)) == []


def test_a_namespace_that_is_not_there_finds_nothing(account: Account) -> None:
    response = post(account, {}, namespace="nowhere")
    assert response.status_code == 200
    assert response.json() == {"sessions": []}
    counted = post(account, {"count": True, "limit": 0}, namespace="nowhere")
    assert counted.json() == {"sessions": [], "count": 0}


def test_a_count_returns_the_number_of_matches_alone(account: Account) -> None:
    fill(account, CALLERS)
    counted = find(account, where={"status": "open"}, count=True, limit=0, fields=True)
    assert counted == {"sessions": [], "count": 2}
    nothing = find(account, where={"status": {"$gt": "a", "$lt": "a"}}, count=True, limit=0)
    assert nothing == {"sessions": [], "count": 0}
    assert "count" not in find(account, count=False)


@pytest.mark.parametrize("body", [{"count": True}, {"count": True, "limit": 1}])
def test_a_count_needs_a_limit_of_0(account: Account, body: dict[str, object]) -> None:
    assert_error(post(account, body), 400, field="count")


def test_a_limit_of_0_without_a_count_looks_at_nothing_and_stays_where_it_is(
    account: Account,
) -> None:
    fill(account, CALLERS)
    begin = find(account, limit=0)
    assert begin["sessions"] == []
    assert ids(find(account, after=begin["next"])) == ["s1", "s2", "s3", "s4"]
    second = find(account, limit=2)
    again = find(account, limit=0, after=second["next"])
    assert ids(find(account, after=again["next"])) == ["s3", "s4"]


def test_a_cursor_allows_another_limit_other_fields_and_a_count(account: Account) -> None:
    fill(account, CALLERS)
    where = {"status": {"$exists": True}, "score": {"$gte": 0}}
    cursor = find(account, where=where, limit=1)["next"]
    same = {"score": {"$gte": 0.0}, "status": {"$exists": True}}
    rest = find(account, where=same, after=cursor, limit=9, fields=["score"], sort="sessionId")
    assert [session["properties"] for session in rest["sessions"]] == [{"score": 7.5}]
    assert find(account, where=where, after=cursor, count=True, limit=0)["count"] == 1


def test_a_cursor_of_another_query_is_refused(account: Account, other_account: Account) -> None:
    fill(account, CALLERS)
    fill(other_account, CALLERS)
    query = {"where": {"score": 5}, "sessionPrefix": "s", "limit": 0}
    cursor = {"after": find(account, **query)["next"]}
    assert post(account, query | cursor).status_code == 200
    others: list[dict[str, object]] = [
        {"where": {"score": 6}},
        {"where": {"score": "5"}},
        {"where": {"score": {"$gte": 5}}},
        {"where": {"size": 5}},
        {"where": {}},
        {"sessionPrefix": ""},
        {"sessionPrefix": "s1"},
    ]
    for other in others:
        assert_error(post(account, query | other | cursor), 400, field="after")
    assert_error(post(other_account, query | cursor), 400, field="after")
    assert_error(post(account, query | cursor, namespace="other"), 400, field="after")


@pytest.mark.parametrize("cursor", ["", "s1", "a b", "é", 2049 * "A", 100 * "A", None, 1])
def test_a_malformed_cursor_is_refused(account: Account, cursor: object) -> None:
    assert_error(post(account, {"after": cursor}), 400, field="after")


@pytest.mark.parametrize("position", ["a/b", "a\x00", 257 * "x", "properties"])
def test_a_cursor_that_somebody_made_up_is_refused_unless_it_names_a_session(
    account: Account, position: str
) -> None:
    query = ("find", account.id, "orders", "{}", "", "sessionId")
    assert_error(post(account, {"after": new_cursor(query, position)}), 400, field="after")
    assert post(account, {"after": new_cursor(query, "s1")}).status_code == 200


def test_the_cursor_of_the_longest_session_id_works(account: Account) -> None:
    longest, last = 256 * "😀", 255 * "😀" + "😁"
    for session in (longest, last):
        body = {"accountId": account.id, "nameSpace": "orders", "sessionId": session}
        saved = account.v2("POST", "/context/document/create", json=body | {"payload": {"a": 1}})
        assert saved.status_code == 201
    prefix = 255 * "😀"
    page = find(account, sessionPrefix=prefix, limit=1)
    assert ids(page) == [longest]
    assert len(page["next"]) <= MAX_CURSOR_LENGTH
    assert ids(find(account, sessionPrefix=prefix, after=page["next"])) == [last]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"unknown": 1}, "body"),
        ({"where": []}, "where"),
        ({"where": {"": 1}}, "where"),
        ({"where": {"a": []}}, "where.a"),
        ({"where": {"a": {"$not": 1}}}, "where.a.$not"),
        ({"where": {"a": {"$in": []}}}, "where.a.$in"),
        ({"where": {"a": {"$in": list(range(101))}}}, "where.a.$in"),
        ({"where": {"a": {"$gt": True}}}, "where.a.$gt"),
        ({"where": {"a": {"$lte": None}}}, "where.a.$lte"),
        ({"where": {"a": {"$exists": "yes"}}}, "where.a.$exists"),
        ({"where": {f"p{number}": 1 for number in range(9)}}, "where"),
        ({"sessionPrefix": "a/b"}, "sessionPrefix"),
        ({"sessionPrefix": 257 * "x"}, "sessionPrefix"),
        ({"sessionPrefix": None}, "sessionPrefix"),
        ({"fields": "a"}, "fields"),
        ({"fields": [1]}, "fields"),
        ({"fields": [""]}, "fields"),
        ({"sort": "updatedAt"}, "sort"),
        ({"limit": -1}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "1"}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"limit": 1e300}, "limit"),
        ({"count": 1}, "count"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_by_the_place(
    account: Account, body: dict[str, object], field: str
) -> None:
    assert_error(post(account, body), 400, field=field)


@pytest.mark.parametrize("number", ["1e400", "-1" + 400 * "0", "1e-400"])
@pytest.mark.parametrize("where", ['{"a":%s}', '{"a":{"$lt":%s}}', '{"a":{"$in":[1,%s]}}'])
def test_an_operand_that_no_double_holds_is_refused(
    account: Account, where: str, number: str
) -> None:
    response = post_text(account, f'{{"where":{where % number}}}')
    assert_error(response, 400, field="where.a")
    assert "double" in response.json()["message"]


def test_large_and_precise_operands_are_compared_as_doubles(account: Account) -> None:
    path = "/orders/s1/properties/a"
    assert account.v1("PUT", path, data=b"9007199254740993", headers=JSON).status_code == 204
    for number in (
        "9007199254740992",
        "9007199254740993",
        "9007199254740992.00001",
        "9007199254740992e0",
    ):
        assert ids(post_text(account, f'{{"where":{{"a":{number}}}}}').json()) == ["s1"]
    assert ids(post_text(account, '{"where":{"a":9007199254740994}}').json()) == []


@pytest.mark.parametrize(
    "body", ['{"where":{"a":"\\u0000"}}', '{"where":{"a":"\\ud800"}}', "{", "[]", ""]
)
def test_a_body_that_is_no_json_object_of_unicode_is_refused(account: Account, body: str) -> None:
    assert_error(post_text(account, body), 400)


def test_sorting_by_update_is_not_turned_on(account: Account) -> None:
    response = post(account, {"sort": "-updatedAt"})
    assert_error(response, 400, field="sort")
    assert "not turned on" in response.json()["message"]


def test_sessions_are_sorted_by_update_where_that_is_turned_on(
    server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as account:
        fill(account, CALLERS)
        settings = "/namespaces/orders"
        turned_on = {"index": ["status"], "sortByUpdate": True}
        response = account.ext("PATCH", settings, json=turned_on)
        assert response.json().items() >= turned_on.items()
        # As soon as a job has filled the index.
        wait_until(lambda: account.ext("GET", settings).json()["indexState"] == "ready")
        fill(account, {"s2": {"score": 8}})
        page = find(account, sort="-updatedAt", limit=3)
        assert ids(page) == ["s2", "s4", "s3"]
        last = find(account, sort="-updatedAt", after=page["next"], fields=["status"])
        assert [each["properties"] for each in last["sessions"]] == [{"status": "open"}]
        assert find(account, sort="-updatedAt", limit=0, count=True)["count"] == 4
        assert ids(find(account, where={"status": "open"})) == ["s1", "s3"]
        assert ids(find(account, where={"status": "open"}, sort="-updatedAt")) == ["s3", "s1"]
        assert_error(post(account, {"after": page["next"]}), 400, field="after")
        for position in ("x", "2021-99-01 00:00:00.000000\ns\nn", "-infinity\n/\nn"):
            made_up = new_cursor(("find", account.id, "orders", "{}", "", "-updatedAt"), position)
            response = post(account, {"sort": "-updatedAt", "after": made_up})
            assert_error(response, 400, field="after")


def test_unknown_parameters_are_refused(account: Account) -> None:
    assert_error(post(account, {}, params={"limit": "1"}), 400, field="limit")


def test_too_much_data_for_a_page_is_refused(account: Account) -> None:
    part = json.dumps(99_000 * "x")
    large = "{" + ",".join(f'"p{number}":{part}' for number in range(8)) + "}"
    for number in range(41):
        path = f"/orders/s{number:02}/properties"
        assert account.v1("PATCH", path, data=large.encode(), headers=JSON).status_code == 204
    response = post(account, {"fields": True})
    assert_error(response, 413)
    assert "smaller limit" in response.json()["message"]
    assert len(ids(find(account, fields=True, limit=40))) == 40
    assert len(ids(find(account, fields=["p0"]))) == 41


def test_a_bad_namespace_is_refused_and_a_key_of_another_account_too(
    account: Account, other_account: Account
) -> None:
    assert_error(post(account, {}, namespace="a.b"), 400, field="namespace")
    assert_error(post(account, {}, namespace="faas"), 400, field="namespace")
    path = f"/ext/v1/{other_account.id}/namespaces/orders/find"
    assert_error(account.call("POST", path, {"maven-api-key": account.key}, json={}), 403)
    assert_error(account.call("POST", path, {}, json={}), 401)


def test_other_methods_and_content_types_are_refused(account: Account) -> None:
    path, key = f"/ext/v1/{account.id}/namespaces/orders/find", {"maven-api-key": account.key}
    assert_error(account.call("GET", path, key), 405)
    headers = key | {"Content-Type": "text/plain"}
    assert_error(account.call("POST", path, headers, data=b"{}"), 415)


def test_finding_is_admitted_as_a_listing() -> None:
    def is_listing(method: str, path: str) -> bool:
        return RequestPolicy.is_listing({"REQUEST_METHOD": method, "PATH_INFO": path})

    assert is_listing("POST", "/ext/v1/demo/namespaces/orders/find")
    assert is_listing("POST", "/ext/v1/demo/namespaces/orders/find/")
    assert is_listing("GET", "/v1/account/demo/orders/session-ids")
    assert not is_listing("POST", "/ext/v1/demo/ops")
    assert not is_listing("PUT", "/v1/account/demo/orders/properties/find")


def test_a_read_key_of_the_namespace_finds_and_one_of_another_does_not(
    account: Account, database: Database
) -> None:
    fill(account, CALLERS)
    path = f"/ext/v1/{account.id}/namespaces/orders/find"
    for namespaces, status in ((None, 200), (("ord*",), 200), (("other", "order"), 403)):
        terms = KeyTerms(Access(Scope.READ, namespaces), None)
        key = create_key(database, account.id, terms=terms).key
        response = account.call("POST", path, {"maven-api-key": key}, json={})
        assert response.status_code == status, namespaces
    token = {"Authorization": f"Bearer {account.token}"}
    assert account.call("POST", path, token, json={}).status_code == 200


def test_a_session_token_does_not_find(account: Account) -> None:
    body = {"ns": "orders", "session": "s1", "scope": "write"}
    made = account.ext("POST", "/tokens", json=body, headers={"maven-api-key": account.key})
    token = {"Authorization": f"Bearer {made.json()['token']}"}
    path = f"/ext/v1/{account.id}/namespaces/orders/find"
    assert_error(account.call("POST", path, token, json={}), 403)
