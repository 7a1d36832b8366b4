"""The conditions of a search: what is refused, and what they are reduced to.

`tests/store/test_find.py` checks which sessions meet them.
"""

import json
from typing import Any

import pytest

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.where import Condition, Where, read_where


def read(**where: Any) -> Where:
    return read_where({name: json.dumps(value).encode() for name, value in where.items()})


def refusal(name: str, text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_where({name: text.encode()})
    return caught.value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", "where.a"),
        ("[1]", "where.a"),
        ("{}", "where.a"),
        ('{"b": 1}', "where.a.b"),
        ('{"$not": 1}', "where.a.$not"),
        ('{"$EQ": 1}', "where.a.$EQ"),
        ('{"$eq": []}', "where.a.$eq"),
        ('{"$ne": {}}', "where.a.$ne"),
        ('{"$gt": true}', "where.a.$gt"),
        ('{"$gte": null}', "where.a.$gte"),
        ('{"$lt": [1]}', "where.a.$lt"),
        ('{"$lte": false}', "where.a.$lte"),
        ('{"$in": []}', "where.a.$in"),
        ('{"$in": "x"}', "where.a.$in"),
        ('{"$in": [1, [2]]}', "where.a.$in[1]"),
        ('{"$prefix": 1}', "where.a.$prefix"),
        ('{"$exists": 1}', "where.a.$exists"),
        ('{"$exists": null}', "where.a.$exists"),
        ("1e400", "where.a"),
        ("-1e400", "where.a"),
        ("1" + 400 * "0", "where.a"),
        ("1e-400", "where.a"),
        ('{"$gt": 1e999999999999}', "where.a"),
        ('{"$in": [1, 1e309]}', "where.a"),
        ('{"$eq": 1, "$lt": null}', "where.a.$lt"),
    ],
)
def test_a_bad_operator_or_operand_is_refused_and_its_place_is_named(text: str, field: str) -> None:
    error = refusal("a", text)
    assert error.field == field
    assert "where.a" in error.message


def test_a_name_must_be_that_of_a_property() -> None:
    assert refusal("", "1").field == "where"
    assert refusal("a\x01", "1").field == "where"
    assert read_where({256 * "x": b"1"}).conditions


def test_at_most_8_names_and_100_values() -> None:
    names = [f"p{number}" for number in range(9)]
    assert read(**dict.fromkeys(names[:8], 1)).conditions
    with pytest.raises(InvalidInput, match="at most 8") as caught:
        read(**dict.fromkeys(names, 1))
    assert caught.value.field == "where"
    assert read(a={"$in": list(range(100))}).conditions
    assert refusal("a", json.dumps({"$in": list(range(101))})).field == "where.a.$in"


def test_a_bare_scalar_means_equality() -> None:
    for value in ("x", 1.5, True, None):
        assert read(a=value) == read(a={"$eq": value})


def test_the_text_is_the_same_for_the_same_conditions() -> None:
    assert read(a=1, b={"$gt": 1, "$lt": 5}).text == read(b={"$lt": 5.0, "$gt": 1}, a=1.0).text
    assert read(a=1).text != read(a=True).text != read(a="true").text
    assert read(a=1).text != read(b=1).text


@pytest.mark.parametrize(
    "operators",
    [
        {"$eq": 1, "$ne": 1},
        {"$eq": 1, "$gt": "a"},
        {"$in": [1, "a"], "$eq": True},
        {"$gt": 1, "$lt": "b"},
        {"$gt": 1, "$lte": 1},
        {"$gt": 1.7976931348623157e308},
        {"$lt": ""},
        {"$gt": "a", "$lt": "a\x01"},
        {"$prefix": "a", "$gte": "b"},
        {"$ne": None},
        {"$ne": True, "$eq": True},
        {"$ne": "a", "$gt": 1},
        {"$exists": False, "$eq": 1},
    ],
)
def test_operators_that_never_hold_together_are_recognised(operators: dict[str, Any]) -> None:
    assert read(a=operators, b=1).conditions is None


@pytest.mark.parametrize(
    ("operators", "condition"),
    [
        ({"$exists": True}, Condition("a", is_present=True)),
        ({"$exists": False}, Condition("a", is_present=False)),
        ({"$gt": "a", "$lte": "b"}, Condition("a", string_from="a\x01", string_below="b\x01")),
        ({"$prefix": "ab", "$exists": True}, Condition("a", string_from="ab", string_below="ac")),
        ({"$prefix": "a\U0010ffff"}, Condition("a", string_from="a\U0010ffff", string_below="b")),
        ({"$prefix": "\U0010ffff"}, Condition("a", string_from="\U0010ffff")),
        ({"$prefix": "\ud7ff"}, Condition("a", string_from="\ud7ff", string_below="\ue000")),
        ({"$prefix": "", "$ne": "x"}, Condition("a", string_from="", string_not="x")),
        ({"$gte": 1, "$lte": 2}, Condition("a", number_from=1.0, number_to=2.0)),
        (
            {"$gt": 1, "$lt": 2, "$ne": 1.5},
            Condition(
                "a",
                number_from=1.0000000000000002,
                number_to=1.9999999999999998,
                number_not=1.5,
            ),
        ),
        (
            {"$in": [1, 2, "x", None, False], "$ne": 2},
            Condition("a", strings=(), numbers=(1.0,), words=()),
        ),
        ({"$in": [None, True, "x"]}, Condition("a", strings=("x",), numbers=(), words=("null", "true"))),
        ({"$ne": True}, Condition("a", strings=(), numbers=(), words=("false",))),
    ],
)  # fmt: skip
def test_operators_are_reduced_to_values_or_a_range(
    operators: dict[str, Any], condition: Condition
) -> None:
    assert read(a=operators).conditions == (condition,)
