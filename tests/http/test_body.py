"""Reading bodies without a server: what is stored is what was sent, whatever it was."""

import json
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from ccs_server.api.v1.bodies import read_properties, read_value
from ccs_server.domain.access import ALL_DATA
from ccs_server.domain.errors import InvalidInput, Unavailable, UnsupportedMediaType
from ccs_server.domain.limits import MAX_NESTING
from ccs_server.http.body import UNREAD

_app = Flask(__name__)

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
numbers = (
    st.integers() | st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: d + Decimal(0))
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


def _written(value: Any) -> str:
    """JSON with every digit of a decimal."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return (
                "{" + ", ".join(f"{json.dumps(k)}: {_written(v)}" for k, v in value.items()) + "}"
            )
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value)


def _read(body: bytes, content_type: str = "application/json") -> tuple[bytes, int]:
    with _app.test_request_context(method="PATCH", data=body, content_type=content_type):
        members = read_properties(ALL_DATA)
        return encode(members), len(members)


def _exactly(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


@settings(max_examples=40)
@given(st.dictionaries(names, values, max_size=5))
def test_properties_are_read_to_their_last_digit(properties: dict[str, Any]) -> None:
    body = _written(properties)
    stored, count = _read(body.encode())
    assert _exactly(stored) == _exactly(body)
    assert count == len(properties)


@settings(max_examples=20)
@given(values)
def test_a_value_becomes_a_property_of_that_name(value: Any) -> None:
    body = _written(value)
    with _app.test_request_context(
        method="PUT", data=body.encode(), content_type="application/json"
    ):
        assert _exactly(read_value()) == _exactly(body)


def test_the_last_of_repeated_members_wins_at_every_level() -> None:
    stored, count = _read(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}')
    assert json.loads(stored) == {"a": 3, "b": {"c": 2}}
    assert stored.count(b'"a"') == stored.count(b'"c"') == 1
    assert count == 2


@pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_ends_at_its_limit(open_: bytes, close: bytes) -> None:
    def nested(levels: int) -> bytes:
        return b'{"p":' + open_ * levels + b"1" + close * levels + b"}"

    _read(nested(MAX_NESTING))
    with pytest.raises(InvalidInput, match="nested at most 100"):
        _read(nested(MAX_NESTING + 1))


def test_brackets_in_strings_are_no_nesting() -> None:
    body = json.dumps({"p": "[{" * 5_000, "q": '"[' * 500 + "\\"}).encode()
    assert json.loads(_read(body)[0]) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"a": NaN}',
        b'{"a": {"b": Infinity}}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\\\\\u0000"}',
        b'{"a\\u0000": 1}',
        b'{"": 1}',
        b'{"a": 01}',
        b'{"a": 1,}',
        b'\xef\xbb\xbf{"a": 1}',
    ],
)
def test_what_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        _read(body)


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert json.loads(_read(rb'{"a": "\\u0000"}')[0]) == {"a": r"\u0000"}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        _read(b'{"a": 1}', content_type)


def test_a_body_that_the_server_has_not_received_is_no_body() -> None:
    """A request whose credential could not be checked in time comes without; if it is valid, it may try again."""
    unread = {UNREAD: True, "CONTENT_LENGTH": "10", "CONTENT_TYPE": "application/json"}
    with (
        _app.test_request_context(method="PUT", environ_overrides=unread),
        pytest.raises(Unavailable),
    ):
        read_value()
