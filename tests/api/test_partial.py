"""Changes of a part of a value: incr, append, merge (section 8 of the extension's contract)."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.answers import assert_error
from tests.support.clock import Clock
from tests.support.service import Account

SESSION = "/orders/s1/properties"
JSON = {"Content-Type": "application/json"}

several = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def put(account: Account, value: str) -> None:
    assert account.v1("PUT", f"{SESSION}/a", data=value.encode(), headers=JSON).status_code == 204


def text(account: Account) -> str:
    return account.v1("GET", f"{SESSION}/a").text


def incr(account: Account, by: str) -> Any:
    body = f'{{"ops":[{{"op":"incr","ns":"orders","session":"s1","name":"a","by":{by}}}]}}'
    return account.ext("POST", "/ops", data=body, headers=JSON)


def test_a_number_that_is_not_there_is_0(account: Account) -> None:
    assert account.results({"op": "incr", "name": "a"})[0]["value"] == 1
    assert account.results({"op": "incr", "name": "a", "by": -3})[0]["value"] == -2


@pytest.mark.parametrize(
    ("value", "by", "total"),
    [
        ("1", "1", "2"),
        ("0.1", "0.2", "0.3"),
        ("1.10", "1", "2.10"),
        ("9" * 100, "1", "1" + "0" * 100),
        ("1e3", "1", "1001"),
        ("1E+0002", "-1e2", "0"),
        ("1e-100", "1", "1." + "0" * 99 + "1"),
        ("-0", "0", "0"),
    ],
)
def test_sums_are_exact(account: Account, value: str, by: str, total: str) -> None:
    put(account, value)
    assert incr(account, by).text == f'{{"results":[{{"status":200,"value":{total}}}]}}'
    assert text(account) == total


numbers = st.integers(-(10**60), 10**60).map(lambda number: f"{number}e-5")


@several
@given(st.lists(numbers, min_size=1, max_size=4))
def test_sums_of_any_decimals_are_exact(account: Account, given_numbers: list[str]) -> None:
    account.v1("DELETE", f"{SESSION}/a")
    for number in given_numbers:
        assert incr(account, number).status_code == 200
    assert Fraction(text(account)) == sum(map(Fraction, given_numbers))


@pytest.mark.parametrize("by", ["9" * 101, "1e101", "1e-101", '"1"', "null", "[]", "true"])
def test_a_bad_number_to_add_is_400(account: Account, by: str) -> None:
    put(account, "1")
    assert_error(incr(account, by), 400, field="by")
    assert text(account) == "1"


@pytest.mark.parametrize(
    "value", ['"1"', "null", "true", "[1]", "{}", "9" * 101, "1e101", "1e-101", '"x"']
)
def test_a_stored_value_that_cannot_be_added_to_is_409_and_stays(
    account: Account, value: str
) -> None:
    put(account, value)
    assert_error(incr(account, "1"), 409)
    assert text(account) == value


def test_appending_adds_at_the_end_and_returns_the_length(account: Account) -> None:
    assert account.results({"op": "append", "name": "a", "values": [1, "x"]})[0]["length"] == 2
    assert account.results({"op": "append", "name": "a", "values": [None]})[0]["length"] == 3
    assert text(account) == '[1,"x",null]'


@pytest.mark.parametrize(
    ("value", "added", "keep", "kept"),
    [
        ("[]", "[1]", None, "[1]"),
        ("[ 1 , 2 ]", "[3]", None, "[1,2,3]"),
        ("[1.10,2]", "[3.0]", 2, "[2,3.0]"),
        ("[1,2,3]", "[4]", 10, "[1,2,3,4]"),
        ("[1,2,3]", "[4]", 1, "[4]"),
        ("[1,2,3]", "[4,5,6]", 2, "[5,6]"),
        ("[1,2,3]", "[4,5,6]", 3, "[4,5,6]"),
        ("[1,2,3]", "[4,5,6]", 4, "[3,4,5,6]"),
        ("[[1,2],[3]]", '[{"a":"]"}]', 2, '[[3],{"a":"]"}]'),
        ("[1,2,3,4]", "[5]", 2, "[4,5]"),
    ],
)
def test_keep_drops_the_oldest(
    account: Account, value: str, added: str, keep: int | None, kept: str
) -> None:
    put(account, value)
    limit = "" if keep is None else f',"keep":{keep}'
    body = f'{{"ops":[{{"op":"append","ns":"orders","session":"s1","name":"a","values":{added}{limit}}}]}}'
    assert account.ext("POST", "/ops", data=body, headers=JSON).status_code == 200
    assert text(account) == kept


@several
@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(min_value=1, max_value=6),
)
def test_of_any_appends_the_last_are_kept(
    account: Account, appended: list[list[int]], keep: int
) -> None:
    account.v1("DELETE", f"{SESSION}/a")
    expected: list[int] = []
    for values in appended:
        (result,) = account.results({"op": "append", "name": "a", "values": values, "keep": keep})
        expected = [*expected, *values][-keep:]
        assert result["length"] == len(expected)
    assert account.v1("GET", f"{SESSION}/a").json() == expected


@pytest.mark.parametrize("value", ['"x"', "1", "null", "{}"])
def test_appending_to_what_is_no_array_is_409_and_changes_nothing(
    account: Account, value: str
) -> None:
    put(account, value)
    assert_error(account.ops({"op": "append", "name": "a", "values": [1]}), 409)
    assert text(account) == value


# The examples of RFC 7396, appendix A, but for those whose patch is null.
@pytest.mark.parametrize(
    ("value", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc_merge(
    account: Account, value: Any, patch: Any, merged: Any
) -> None:
    account.v1("PUT", f"{SESSION}/a", json=value)
    (result,) = account.results({"op": "merge", "name": "a", "patch": patch})
    read = account.v1("GET", f"{SESSION}/a")
    assert read.json() == merged
    assert result["etag"] == read.headers["ETag"]


def test_merging_into_nothing_makes_what_the_patch_says(account: Account) -> None:
    account.results({"op": "merge", "name": "a", "patch": {"x": 1, "y": None, "z": {"n": None}}})
    assert account.v1("GET", f"{SESSION}/a").json() == {"x": 1, "z": {}}


def test_numbers_that_are_not_merged_keep_their_digits(account: Account) -> None:
    put(account, '{"price":1.10,"big":1e400,"deep":{"x":2.50}}')
    account.results({"op": "merge", "name": "a", "patch": {"deep": {"y": 1}}})
    merged = text(account).replace(" ", "")
    assert '"price":1.10' in merged
    assert '"big":1e400' in merged
    assert '"x":2.50' in merged


members = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)


def _merged(target: Any, patch: Any) -> Any:
    """The function of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


@several
@given(members, members.filter(lambda patch: patch is not None))
def test_any_values_merge_as_the_rfc_says(account: Account, value: Any, patch: Any) -> None:
    try:
        # A value that cannot be stored, one with U+0000, would leave that of the example before.
        account.v1("DELETE", f"{SESSION}/a")
        if account.v1("PUT", f"{SESSION}/a", json=value).status_code != 204:
            value = None
        response = account.ops({"op": "merge", "name": "a", "patch": patch})
    except UnicodeEncodeError:
        return
    if response.status_code == 400:
        assert "\\u0000" in (response.request.body or b"").decode() or "\\ud" in str(  # type: ignore[union-attr]
            response.request.body
        )
        return
    assert account.v1("GET", f"{SESSION}/a").json() == _merged(value, patch)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "incr", "name": "a"},
        {"op": "append", "name": "a", "values": [1]},
        {"op": "merge", "name": "a", "patch": {"x": 1}},
    ],
)
def test_a_change_of_a_part_is_a_save(
    account: Account, clock: Clock, operation: dict[str, Any]
) -> None:
    account.v1("POST", "?ttlSecond=10", json={"name": "orders"})
    account.results(operation)
    clock.advance(seconds=9)
    account.results(operation)
    clock.advance(seconds=9)
    assert account.v1("GET", f"{SESSION}/a").status_code == 200
    account.results(operation | {"ttl": 5})
    clock.advance(seconds=5)
    assert_error(account.v1("GET", f"{SESSION}/a"), 404)
    # It begins anew: what has expired is not there.
    account.results(operation)
    assert account.v1("GET", f"{SESSION}/a").json() in (1, [1], {"x": 1})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "incr", "name": "a"},
        {"op": "append", "name": "a", "values": [1]},
        {"op": "merge", "name": "a", "patch": {"x": 1}},
    ],
)
def test_a_change_of_a_part_takes_conditions(account: Account, operation: dict[str, Any]) -> None:
    assert_error(account.ops(operation | {"ifMatch": "*"}), 412)
    assert account.v1("GET", "").json() == []
    account.results(operation | {"ifNoneMatch": "*"})
    assert_error(account.ops(operation | {"ifNoneMatch": "*"}), 412)
    etag = account.v1("GET", f"{SESSION}/a").headers["ETag"]
    account.results(operation | {"ifMatch": etag})


def test_a_document_does_not_grow_over_its_limit(account: Account) -> None:
    account.v1("PUT", f"{SESSION}/b", json="x" * 799_900)
    account.v1("PUT", f"{SESSION}/a", json=[])
    for values in (["x" * 100], ["x"] * 30):
        assert_error(account.ops({"op": "append", "name": "a", "values": values}), 413)
    patch = {"op": "merge", "name": "m", "patch": {"x": "y" * 80}}
    assert_error(account.ops(patch), 413)
    assert text(account) == "[]"
    account.results({"op": "append", "name": "a", "values": ["x"]})
