"""The SDK's JSON: values are read back equal, and anything that is not JSON is refused."""

import json
import math
from collections import ChainMap, UserList
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccs_sdk import JSON, InvalidArgumentError
from ccs_sdk._json import UNREADABLE, decode, encode

BIG = 10**5_000 + 7  # Python converts at most 4,300 digits by default

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
)


@given(values)
def test_values_come_back_equal(value: JSON) -> None:
    assert decode(encode(value), decimals=False) == value


@given(values)
def test_the_standard_library_decodes_the_encoded_text(value: JSON) -> None:
    assert json.loads(encode(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_come_back_with_all_digits(number: Decimal) -> None:
    back = decode(encode([number]), decimals=True)[0]
    assert back == number
    assert str(back) == str(number)


@given(st.integers(min_value=-(10**9_000), max_value=10**9_000))
def test_integers_of_any_size_come_back_equal(number: int) -> None:
    assert decode(encode(number), decimals=False) == number


@pytest.mark.parametrize(
    "number",
    [BIG, -BIG, 2**2_048, -(2**2_048), 2**2_048 - 1, 10**640],
    ids=int.bit_length,  # pytest cannot print such integers either
)
def test_integers_around_each_limit_come_back_equal(number: int) -> None:
    assert decode(encode({"a": [number, 1.5]}), decimals=False) == {"a": [number, 1.5]}


def test_an_integer_as_large_as_a_document_is_converted_within_seconds() -> None:
    number = 7 * 10**799_000 + 1
    assert decode(encode(number), decimals=False) == number


class Size(IntEnum):
    SMALL = 1


class Color(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (1e100, "1e+100"),
        (-0.0, "-0.0"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+400"), "1E+400"),
        (Size.SMALL, "1"),
        (Color.RED, '"red"'),
        ("é😀\x7f\n", '"é😀\x7f\\n"'),
        (("a", "b"), '["a","b"]'),
        (UserList([1]), "[1]"),
        (range(2), "[0,1]"),
        (MappingProxyType({"a": None}), '{"a":null}'),
        (ChainMap({"a": False}), '{"a":false}'),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_values_are_encoded_as_this_text(value: JSON, text: str) -> None:
    assert encode(value).decode() == text


LOOP: list[JSON] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "NaN and Infinity are not JSON."),
        ([math.inf], "NaN and Infinity are not JSON."),
        ({"a": -math.inf}, "NaN and Infinity are not JSON."),
        (Decimal("NaN"), "NaN and Infinity are not JSON."),
        (Decimal("sNaN"), "NaN and Infinity are not JSON."),
        (Decimal("-Infinity"), "NaN and Infinity are not JSON."),
        ("\ud800", "The body contains a lone surrogate, which is not a character; leave it out."),
        ({1: "a"}, "The names of an object must be strings; int is not."),
        ({None: "a"}, "The names of an object must be strings; NoneType is not."),
        (b"bytes", "A value must be JSON; bytes is not."),
        ({"a": {1, 2}}, "A value must be JSON; set is not."),
        (object(), "A value must be JSON; object is not."),
        (LOOP, "A value may be nested at most 100 levels deep."),
    ],
)
def test_values_that_are_not_json_are_refused(value: JSON, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        encode(value)
    assert refused.value.message == sentence


@pytest.mark.parametrize("wrapping", [0, 1, 2])
def test_a_value_may_nest_at_most_100_levels(wrapping: int) -> None:
    def nested(levels: int) -> JSON:
        value: JSON = 1
        for _ in range(levels):
            value = [value]
        return value

    assert encode(nested(100 + wrapping), wrapping=wrapping).count(b"[") == 100 + wrapping
    with pytest.raises(InvalidArgumentError):
        encode(nested(101 + wrapping), wrapping=wrapping)


def test_decimals_are_read_only_with_the_option() -> None:
    assert decode(b"[1.10, 1]", decimals=True) == [Decimal("1.10"), 1]
    assert [type(item) for item in decode(b"[1.10, 1]", decimals=False)] == [float, int]


def test_a_number_too_large_for_a_float_is_read_as_decimal() -> None:
    assert decode(b"1e400", decimals=False) == Decimal("1e400")


@pytest.mark.parametrize(
    "text", [b"", b"nul", b"NaN", b"-Infinity", b'{"a":', b"\xff", b"[" * 100_000]
)
def test_text_that_is_not_json_raises_one_of_unreadable(text: bytes) -> None:
    with pytest.raises(UNREADABLE):
        decode(text, decimals=False)
