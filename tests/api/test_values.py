"""The values of section 1: any JSON value is returned equal, by every combination of write and read."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.api.answers import assert_error, json_equal
from tests.api.everyway import WRITES, WRITTEN, Property, expected
from tests.api.strategies import TEXT, exploring, json_texts, number_texts
from tests.support.service import Account

NESTING = 100

NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "9007199254740993",  # 2**53 + 1: no double has it
    "-9223372036854775809",
    "18446744073709551616",
    "1" + "0" * 5000,
    "-" + "7" * 5000,
    "1.10",
    "0.1",
    "0." + "3" * 1000,
    "123456789012345678901234567890.123456789012345678901234567890",
    "1e+23",
    "1E23",
    "1e-7",
    "5e-324",
    "1.7976931348623157e308",
    "1e400",
    "-1e400",
    "1e-400",
    "123e-2",
    "100e0",
]
STRINGS = [
    '""',
    '" "',
    r'"\" \\ \/ \b \f \n \r \t"',
    r'"\u0001\u001f\u007f\u0080"',
    '"\u007f\u0080\u2028\u2029\ufeff\ufffe\uffff\U0010ffff"',
    '"ä 日本語 😀 👩‍👩‍👧 e\u0301"',
    r'"\u00e4\ud83d\ude00"',
    r'"\\u0000"',  # six harmless characters, not U+0000
    r'"\\ud800"',
    r'"\\\\u0000"',
    '"\u0600\u202e"',
    '"' + "[" * 1000 + '"',
    '"' + r"\"" * 1000 + '"',
    '"NaN"',
    '"null"',
]
CONTAINERS = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    '{"":""}',
    '{"":{"":[]}}',
    '[null,true,false,0,"",[],{}]',
    ' [ 1 ,\t2\n, {"a" : 3 } ] \r\n',
    '{"a/b":1,"a.b":2,"a b":3,"\\u00e4":4,"$ref":5,"__proto__":6}',
]
REFUSED = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "NaN inside": '{"a": [NaN]}',
    "Infinity inside": "[1, Infinity]",
    "U+0000": r'"\u0000"',
    "U+0000 inside": r'{"a": ["b\u0000"]}',
    "U+0000 after backslashes": r'"\\\u0000"',
    "U+0000 in a member name": r'{"a\u0000b": 1}',
    "high surrogate": r'"\ud800"',
    "low surrogate": r'"\udc00 a"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "high surrogate twice": r'"\ud83d\ud83d\ude00"',
    "surrogate in capitals": r'"\uD800"',
    "surrogate inside": r'[{"a": "\udfff"}]',
    "surrogate in a member name": r'{"\ud800": 1}',
}
MALFORMED = {
    "nothing": "",
    "white space": "  ",
    "half": '{"a": ',
    "two values": "1 2",
    "trailing comma": "[1,]",
    "single quotes": "'a'",
    "bare word": "abc",
    "capital true": "True",
    "leading zero": "01",
    "plus": "+1",
    "bare point": "1.",
    "hexadecimal": "0x10",
    "comment": "1 // one",
    "control character": '"a\nb"',
    "bad escape": r'"\x41"',
    "short escape": r'"\u12"',
    "member without value": '{"a"}',
    "member without name": "{1: 2}",
}


def round_trip(account: Account, value: str) -> None:
    for write, call in WRITES.items():
        place = Property(account, "a")
        place.delete()
        response = call(place, value)
        assert response.status_code == WRITTEN[write], (write, response.text)
        for way, reading in place.readings().items():
            assert json_equal(reading, expected(value)), (write, way, reading)


@pytest.mark.parametrize("value", [*NUMBERS, *STRINGS, *CONTAINERS], ids=lambda value: value[:30])
def test_a_value_is_returned_equal_by_every_path(account: Account, value: str) -> None:
    round_trip(account, value)


@exploring
@given(value=json_texts)
def test_any_value_is_returned_equal_by_every_path(account: Account, value: str) -> None:
    round_trip(account, value)


@exploring
@given(number=number_texts)
@example("1e999")
@example("-0e-999")
def test_numbers_keep_every_digit(account: Account, number: str) -> None:
    round_trip(account, number)


@exploring
@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(1e23)
@example(5e-324)
@example(-0.1)
def test_a_float_is_the_same_float_again(account: Account, number: float) -> None:
    place = Property(account, "a")
    assert place.put(json.dumps(number)).status_code == 204
    assert account.v1("GET", f"{place.path}/a").json() == number


@exploring
@given(text=TEXT, ascii_only=st.booleans())
def test_a_string_is_the_same_string_again(
    account: Account,
    text: str,
    ascii_only: bool,
) -> None:
    place = Property(account, "a")
    assert place.put(json.dumps(text, ensure_ascii=ascii_only)).status_code == 204
    plain = account.v1("GET", f"{place.path}/a", headers={"Accept": "text/plain"})
    assert plain.content.decode() == text
    assert account.v1("GET", f"{place.path}/a").json() == text


@pytest.mark.parametrize(
    ("value", "last"),
    [
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"a":{"b":1,"b":[1]},"a":{"b":2,"b":[2]}}', '{"a":{"b":[2]}}'),
        (r'{"a":1,"\u0061":2}', '{"a":2}'),
        ('[{"a":1,"b":2,"a":3}]', '[{"a":3,"b":2}]'),
        ('{"a":{"deep":1},"a":null}', '{"a":null}'),
    ],
)
@pytest.mark.parametrize("write", WRITES)
def test_the_last_of_repeated_members_wins(
    account: Account, write: str, value: str, last: str
) -> None:
    place = Property(account, "p")
    assert WRITES[write](place, value).status_code == WRITTEN[write]
    for way, reading in place.readings().items():
        assert json_equal(reading, expected(last)), way


@pytest.mark.parametrize("again", ['"a"', r'"\u0061"'])
def test_the_last_of_repeated_properties_wins(account: Account, again: str) -> None:
    headers = {"Content-Type": "application/json"}
    members = f'{{"a": 1, "b": 2, {again}: 3}}'
    account.v1("PATCH", "/orders/s1/properties", data=members, headers=headers)
    assert account.v1("GET", "/orders/s1/properties").text.count('"a"') == 1
    assert account.v1("GET", "/orders/s1/properties").json() == {"a": 3, "b": 2}

    envelope = f'{{"accountId":"{account.id}","nameSpace":"orders","payload":{members}}}'
    account.v2("POST", "/context/document/create", data=envelope, headers=headers)
    assert account.v1("GET", "/orders/properties").text.count('"a"') == 1
    assert account.v1("GET", "/orders/properties").json() == {"a": 3, "b": 2}


@exploring
@given(
    pairs=st.lists(st.tuples(st.sampled_from("abc"), st.integers() | st.just({"x": 1})), min_size=1)
)
def test_the_last_of_any_repeated_members_wins(
    account: Account, pairs: list[tuple[str, object]]
) -> None:
    value = "{" + ",".join(f'"{name}":{json.dumps(member)}' for name, member in pairs) + "}"
    for inner in (value, f"[{value}]", f'{{"in":{value}}}'):
        place = Property(account, "p")
        assert place.patch(inner).status_code == 204
        assert json_equal(place.get(), expected(json.dumps(json.loads(inner))))


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("write", WRITES)
def test_invalid_json_and_invalid_characters_are_refused(
    account: Account, write: str, value: str
) -> None:
    assert_error(WRITES[write](Property(account, "a"), value), 400)


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("write", WRITES)
def test_malformed_json_is_refused(account: Account, write: str, value: str) -> None:
    assert_error(WRITES[write](Property(account, "a"), value), 400)


def nested(levels: int, kind: str) -> str:
    match kind:
        case "arrays":
            return "[" * levels + "]" * levels
        case "objects":
            return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)
        case _:
            value = "[]" if levels % 2 else "{}"
            for level in range(levels - 1):
                value = f"[{value}]" if (level + levels) % 2 else f'{{"a":{value}}}'
            return value


@pytest.mark.parametrize("kind", ["arrays", "objects", "both"])
@pytest.mark.parametrize("write", WRITES)
def test_a_value_may_nest_100_levels(account: Account, write: str, kind: str) -> None:
    place = Property(account, "a")
    value = nested(NESTING, kind)
    assert WRITES[write](place, value).status_code == WRITTEN[write]
    for way, reading in place.readings().items():
        assert json_equal(reading, expected(value)), way


@pytest.mark.parametrize("levels", [NESTING + 1, 1000, 100_000])
@pytest.mark.parametrize("kind", ["arrays", "objects"])
@pytest.mark.parametrize("write", WRITES)
def test_a_value_that_nests_deeper_is_refused(
    account: Account, write: str, kind: str, levels: int
) -> None:
    assert_error(WRITES[write](Property(account, "a"), nested(levels, kind)), 400)


@pytest.mark.parametrize("write", WRITES)
def test_nesting_beside_a_shallow_value_is_refused_too(account: Account, write: str) -> None:
    deep = nested(NESTING, "arrays")
    assert WRITES[write](Property(account, "a"), f"[[], {deep}]").status_code == 400
    assert WRITES[write](Property(account, "a"), f'{{"b": [], "c": {deep}}}').status_code == 400


@pytest.mark.parametrize("text", ["[" * 500_000, '{"a":' * 200_000, "[{}," * 200_000])
@pytest.mark.parametrize(
    ("version", "method", "path"),
    [
        ("v1", "POST", ""),
        ("v1", "PATCH", "/orders/properties"),
        ("v1", "PUT", "/orders/properties/a"),
        ("v1", "POST", "/namespace/orders/session"),
        ("v2", "POST", "/context/document/create"),
        ("v2", "POST", "/context/document/properties"),
        ("v2", "DELETE", "/context/document/delete"),
    ],
)
def test_a_body_of_endless_nesting_is_refused_without_a_crash(
    account: Account, version: str, method: str, path: str, text: str
) -> None:
    call = account.v1 if version == "v1" else account.v2
    headers = {"Content-Type": "application/json"}
    assert_error(call(method, path, data=text, headers=headers), 400)
    assert account.v1("GET", "").json() == []
