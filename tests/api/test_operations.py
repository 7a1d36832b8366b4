"""Many operations in one request: all or nothing, or each by itself (section 7 of the extension's contract)."""

import json
from typing import Any

import pytest

from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.service import Account

SESSION = "/orders/s1/properties"
OTHER = '"0123456789abcdef0123456789abcdef"'

GET = {"op": "get"}
BAD_SET = {"op": "set", "name": "b", "value": 1, "ifMatch": OTHER}


def read(account: Account, path: str = SESSION) -> Any:
    return account.v1("GET", path).json()


def test_each_operation_sees_those_before_it(account: Account) -> None:
    results = account.results(
        {"op": "set", "name": "a", "value": 1},
        {"op": "incr", "name": "a"},
        {"op": "get", "name": "a"},
        {"op": "delete", "name": "a"},
        GET,
        {"op": "set", "values": {"x": 1, "y": 2}, "ifNoneMatch": "*"},
        GET,
    )
    assert [result["status"] for result in results] == [200] * 7
    assert [results[1]["value"], results[2]["value"], results[3]["count"]] == [2, 2, 1]
    assert [results[4]["values"], results[6]["values"]] == [{}, {"x": 1, "y": 2}]
    assert read(account) == {"x": 1, "y": 2}


def test_the_session_is_that_of_the_namespace_where_none_is_named(account: Account) -> None:
    account.results({"op": "set", "ns": "orders", "name": "a", "value": 1})
    assert read(account, "/orders/properties") == {"a": 1}
    assert read(account) == {}


def test_a_batch_spans_sessions_and_namespaces(account: Account) -> None:
    account.results(
        {"op": "set", "ns": "orders", "session": "s1", "name": "a", "value": 1},
        {"op": "set", "ns": "carts", "session": "s2", "name": "b", "value": 2},
    )
    assert read(account) == {"a": 1}
    assert read(account, "/carts/s2/properties") == {"b": 2}


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (BAD_SET, 412),
        ({"op": "delete", "ifMatch": OTHER}, 412),
        ({"op": "touch", "ifMatch": OTHER}, 412),
        ({"op": "set", "name": "b", "value": 1, "fence": 5}, 412),
        ({"op": "incr", "name": "text"}, 409),
        ({"op": "append", "name": "text", "values": [1]}, 409),
        ({"op": "set", "name": "b", "value": "x" * 800_000}, 413),
        ({"op": "set", "ns": "custom", "name": "b", "value": 1}, 400),
        ({"op": "lease", "owner": "me", "seconds": 30, "fence": 5}, 412),
    ],
)
def test_the_first_refusal_undoes_all_and_is_the_response(
    account: Account, refused: dict[str, Any], status: int
) -> None:
    account.v1("PUT", f"{SESSION}/text", json="text")
    response = account.ops(
        {"op": "set", "name": "a", "value": 1},
        {"op": "set", "ns": "new", "name": "a", "value": 1},
        refused,
        {"op": "delete", "name": "text"},
        BAD_SET,
    )
    assert_error(response, status)
    assert response.json()["op"] == 2
    assert read(account) == {"text": "text"}
    assert [each["name"] for each in read(account, "")] == ["orders"]


def test_a_refusal_says_what_is_there(account: Account) -> None:
    account.v1("PUT", f"{SESSION}/b", json=2)
    later = {"op": "set", "name": "b", "value": 3}
    refused = account.ops(BAD_SET, later).json()
    assert refused["current"] == account.v1("GET", f"{SESSION}/b?meta=true").json()
    document = account.ops(later, {"op": "delete", "ifMatch": OTHER})
    assert_error(document, 412)
    changed = account.results(later, GET)
    assert changed[1]["values"] == {"b": 3}
    etag = account.v1("GET", SESSION).headers["ETag"]
    assert document.headers["ETag"] == document.json()["etag"] == etag
    each, *_ = account.results({"op": "delete", "ifMatch": OTHER}, atomic=False)
    assert each["etag"] == etag


def test_without_atomic_each_takes_place_by_itself(account: Account) -> None:
    account.v1("PUT", f"{SESSION}/b", json=2)
    results = account.results(
        {"op": "set", "name": "a", "value": 1}, BAD_SET, {"op": "incr", "name": "b"}, atomic=False
    )
    assert [result["status"] for result in results] == [200, 412, 200]
    assert results[1]["message"]
    assert results[1]["current"]["value"] == 2
    assert read(account) == {"a": 1, "b": 3}


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    ("malformed", "field"),
    [
        ({"op": "drop"}, "op"),
        ({"name": "a"}, "op"),
        ({"op": "get", "unknown": 1}, "body"),
        ({"op": "get", "name": "a", "names": ["a"]}, "names"),
        ({"op": "get", "name": "a\n"}, "name"),
        ({"op": "get", "names": ["a\n"]}, "names"),
        ({"op": "get", "names": "abc"}, "names"),
        ({"op": "get", "pointer": "/a"}, "pointer"),
        ({"op": "get", "name": "a", "pointer": "a"}, "pointer"),
        ({"op": "get", "name": "a", "meta": "true"}, "meta"),
        ({"op": "set", "name": "a"}, "values"),
        ({"op": "set", "value": 1}, "values"),
        ({"op": "set", "name": "a", "value": 1, "values": {}}, "values"),
        ({"op": "set", "values": [1]}, "body"),
        ({"op": "set", "values": {"a\n": 1}}, "values"),
        ({"op": "set", "name": "a", "value": 1, "ttl": -1}, "ttl"),
        ({"op": "set", "name": "a", "value": 1, "ttl": "60"}, "ttl"),
        ({"op": "set", "name": "a", "value": 1, "ttl": 1.5}, "ttl"),
        ({"op": "append", "name": "a", "values": [1], "keep": 1.5}, "keep"),
        ({"op": "release", "fence": 1.5}, "fence"),
        ({"op": "set", "name": "a", "value": 1, "ttl": 2**31}, "ttl"),
        ({"op": "set", "name": "a", "value": 1, "ifMatch": ""}, "ifMatch"),
        ({"op": "set", "name": "a", "value": 1, "ifNoneMatch": "a"}, "ifNoneMatch"),
        ({"op": "set", "name": "a", "value": 1, "fence": 0}, "fence"),
        ({"op": "set", "name": "a", "value": 1, "fence": 2**53}, "fence"),
        ({"op": "set", "ns": "a b", "name": "a", "value": 1}, "ns"),
        ({"op": "set", "ns": "orders", "session": "a/b", "name": "a", "value": 1}, "session"),
        ({"op": "touch", "ttl": "keep"}, "ttl"),
        ({"op": "incr"}, "name"),
        ({"op": "incr", "name": "a", "by": "1"}, "by"),
        ({"op": "append", "name": "a", "values": []}, "values"),
        ({"op": "append", "name": "a", "values": [1] * 1001}, "values"),
        ({"op": "append", "name": "a", "values": [1], "keep": 0}, "keep"),
        ({"op": "merge", "name": "a", "patch": None}, "patch"),
        ({"op": "lease", "owner": "", "seconds": 1}, "owner"),
        ({"op": "lease", "owner": "a\u0000", "seconds": 1}, "owner"),
        ({"op": "lease", "owner": "a\n", "seconds": 1}, "owner"),
        ({"op": "lease", "owner": "x" * 257, "seconds": 1}, "owner"),
        ({"op": "lease", "owner": "x", "seconds": 0}, "seconds"),
        ({"op": "lease", "owner": "x", "seconds": 3601}, "seconds"),
        ({"op": "release"}, "fence"),
    ],
)
def test_a_malformed_operation_is_400_for_all_before_any(
    account: Account, malformed: dict[str, Any], field: str, atomic: bool
) -> None:
    response = account.ops({"op": "set", "name": "a", "value": 1}, malformed, atomic=atomic)
    assert_error(response, 400, field=field)
    assert response.json()["op"] == 1
    assert read(account) == {}


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"ops":{}}',
        '{"ops":[]}',
        '{"ops":[1]}',
        '{"ops":[{"op":"get"',
        '{"ops":[],"x":1}',
    ],
)
def test_the_body_is_an_object_of_operations(account: Account, body: str) -> None:
    json_type = {"Content-Type": "application/json"}
    assert_error(account.ext("POST", "/ops", data=body, headers=json_type), 400)


def test_a_request_has_at_most_100_operations(account: Account) -> None:
    sets = [{"op": "set", "name": f"p{n}", "value": n} for n in range(101)]
    assert len(account.results(*sets[:100])) == 100
    assert_error(account.ops(*sets), 400, field="ops")
    assert len(read(account)) == 100


def test_nesting_is_limited_as_in_v1(account: Account) -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"op": "set", "name": "a", "value": json.loads("[" * levels + "]" * levels)}

    account.results(nested(100))
    for levels in (101, 200):
        assert_error(account.ops(nested(levels)), 400)
    deep = {"op": "merge", "name": "a", "patch": nested(200)["value"]}
    assert_error(account.ops(deep), 400)


def test_values_keep_every_digit_and_the_last_of_repeated_members_wins(account: Account) -> None:
    body = """{"ops":[{"op":"set","ns":"orders","session":"s1",
        "name":"a","value":{"x":1,"x":1.10,"big":1e400}},{"op":"get","ns":"orders","session":"s1","name":"a"}]}"""
    response = account.ext("POST", "/ops", data=body, headers={"Content-Type": "application/json"})
    assert '"value":{"x":1.10,"big":1e400}' in response.text.replace(" ", "")


def test_gets_of_what_is_not_there_do_not_fail_the_batch(account: Account) -> None:
    account.v1("PATCH", SESSION, json={"a": {"b": [1]}, "c": 2})
    results = account.results(
        {"op": "get", "name": "x"},
        {"op": "get", "name": "a", "pointer": "/b/1"},
        {"op": "get", "name": "a", "pointer": "/b/0"},
        {"op": "get", "names": ["a", "x"]},
        {"op": "get", "names": []},
        {"op": "get", "ns": "never"},
        {"op": "get", "name": "c", "meta": True},
        {"op": "get", "names": ["c"], "meta": True},
    )
    assert [result["status"] for result in results] == [404, 404, 200, 200, 200, 200, 200, 200]
    assert results[0]["message"]
    assert results[2]["value"] == 1
    assert results[3]["values"] == {"a": {"b": [1]}}
    assert results[4]["values"] == results[5]["values"] == {}
    assert TIMESTAMP.fullmatch(results[6]["value"]["updatedAt"])
    assert results[7]["values"] == {"c": results[6]["value"]}
    assert [each["name"] for each in read(account, "")] == ["orders"]


def test_doing_nothing_is_allowed(account: Account) -> None:
    results = account.results(
        {"op": "set", "values": {}},
        {"op": "delete", "names": []},
        {"op": "touch", "names": []},
        {"op": "delete"},
        {"op": "touch", "name": "x"},
    )
    assert [result.get("count", 0) for result in results] == [0] * 5
    for alone in ({"op": "set", "values": {}}, {"op": "delete", "names": []}, {"op": "delete"}):
        assert account.ops(alone).status_code == 200
    assert read(account, "") == []


def test_deletions_and_touches_count_live_properties(account: Account, clock: Clock) -> None:
    account.v1("PATCH", SESSION, json={"a": 1, "b": 2, "c": 3})
    account.v1("PUT", f"{SESSION}/gone", json=1, headers={"Ccs-TTL": "1"})
    clock.advance(seconds=1)
    assert account.results({"op": "touch", "ttl": 100})[0]["count"] == 3
    assert account.results({"op": "touch", "names": ["a", "x"]})[0]["count"] == 1
    assert account.results({"op": "delete", "names": ["a", "gone"]})[0]["count"] == 1
    assert account.results({"op": "delete", "name": "x"})[0]["count"] == 0
    assert account.results({"op": "delete", "name": "b"})[0]["count"] == 1
    assert account.results({"op": "delete"})[0]["count"] == 1


def test_a_touch_gives_a_new_expiry_and_changes_nothing_else(
    account: Account, clock: Clock
) -> None:
    account.v1("POST", "?ttlSecond=100", json={"name": "orders"})
    account.v1("PATCH", SESSION, json={"a": 1, "b": 2})
    before = account.v1("GET", f"{SESSION}?meta=true").json()
    clock.advance(seconds=60)
    account.results({"op": "touch", "name": "a"})
    after = account.v1("GET", f"{SESSION}?meta=true").json()
    assert after["b"] == before["b"]
    assert after["a"]["expiresAt"] > before["a"]["expiresAt"]
    assert after["a"] | {"expiresAt": 0} == before["a"] | {"expiresAt": 0}
    clock.advance(seconds=60)
    assert read(account) == {"a": 1}
    account.results({"op": "touch", "ttl": 0})
    clock.advance(seconds=10_000)
    assert read(account) == {"a": 1}


def test_sets_take_ttls_and_conditions(account: Account, clock: Clock) -> None:
    first, *_ = account.results({"op": "set", "name": "a", "value": 1, "ttl": 10})
    assert first["etag"] == account.v1("GET", f"{SESSION}/a").headers["ETag"]
    swap = {"op": "set", "name": "a", "value": 2, "ttl": "keep", "ifMatch": first["etag"]}
    second, *_ = account.results(swap)
    assert_error(account.ops(swap), 412)
    assert_error(account.ops(swap | {"ifMatch": second["etag"], "ifNoneMatch": "*"}), 412)
    clock.advance(seconds=10)
    assert read(account) == {}
    account.results({"op": "set", "name": "a", "value": 3, "ifNoneMatch": "*"})
    assert read(account) == {"a": 3}


def test_the_limit_of_a_document_holds_after_each_operation(account: Account) -> None:
    account.results({"op": "set", "name": "a", "value": "x" * 500_000})
    add = {"op": "set", "name": "b", "value": "x" * 500_000}
    for batch in ([add], [add, {"op": "delete", "name": "a"}]):
        refused = account.ops(*batch)
        assert_error(refused, 413)
        assert refused.json()["op"] == 0
    account.results({"op": "delete", "name": "a"}, add)
    assert read(account).keys() == {"b"}


def test_an_answer_of_over_8_million_characters_is_413_and_writes_nothing(
    account: Account,
) -> None:
    value = json.dumps("é" * 500_000, ensure_ascii=False).encode()
    account.v1("PUT", f"{SESSION}/a", data=value, headers={"Content-Type": "application/json"})
    gets = [GET] * 16
    assert_error(account.ops(*gets), 413)
    assert_error(account.ops({"op": "set", "name": "b", "value": 1}, *gets), 413)
    assert read(account).keys() == {"a"}
    assert len(account.results(*gets[:15])) == 15
    each = account.results({"op": "set", "name": "b", "value": 1}, *gets, atomic=False)
    assert [result["status"] for result in each] == [200] * 16 + [413]
    assert read(account)["b"] == 1


def test_a_plain_save_meets_a_batch(account: Account) -> None:
    """The plain statements and those of operations work on the same rows."""
    assert_empty(account.v1("PATCH", SESSION, json={"a": 1}))
    account.results({"op": "set", "name": "a", "value": 2}, {"op": "set", "name": "b", "value": 3})
    assert_empty(account.v1("DELETE", f"{SESSION}/a"))
    assert read(account) == {"b": 3}
