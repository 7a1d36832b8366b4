"""JSON pointers (RFC 6901)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.pointers import read_pointer, resolve

# The document and the pointers of RFC 6901, section 5.
DOCUMENT = rb"""{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"""


@pytest.mark.parametrize(
    ("pointer", "part"),
    [
        ("", DOCUMENT),
        ("/foo", b'["bar","baz"]'),
        ("/foo/0", b'"bar"'),
        ("/", b"0"),
        ("/a~1b", b"1"),
        ("/c%d", b"2"),
        ("/e^f", b"3"),
        ("/g|h", b"4"),
        ("/i\\j", b"5"),
        ('/k"l', b"6"),
        ("/ ", b"7"),
        ("/m~0n", b"8"),
    ],
)
def test_the_examples_of_the_rfc(pointer: str, part: bytes) -> None:
    assert resolve(DOCUMENT, read_pointer(pointer)) == part


@pytest.mark.parametrize(
    "pointer",
    [
        "/foo/2",
        "/foo/-",
        "/foo/01",
        "/foo/+1",
        "/foo/1.0",
        "/foo/" + "9" * 5000,
        "/bar",
        "/foo/0/0",
    ],
)
def test_a_part_that_is_not_there_is_not_found(pointer: str) -> None:
    assert resolve(DOCUMENT, read_pointer(pointer)) is None


@pytest.mark.parametrize("text", ["foo", "~", "/~", "/~2", "/a~", " /a"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_pointer(text)


def test_a_part_keeps_its_digits() -> None:
    assert resolve(b'{"a":[1.10, 1e400]}', read_pointer("/a/0")) == b"1.10"
    assert resolve(b'{"a":[1.10, 1e400]}', read_pointer("/a/1")) == b"1e400"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_every_part_is_found_by_its_pointer(value: Any) -> None:
    for pointer, part in _parts(value):
        found = resolve(json.dumps(value).encode(), read_pointer(pointer))
        assert found is not None
        assert json.loads(found) == part


def _parts(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = [(key.replace("~", "~0").replace("/", "~1"), part) for key, part in value.items()]
    elif isinstance(value, list):
        members = [*enumerate(value)]
    found = [(pointer, value)]
    for token, part in members:
        found += _parts(part, f"{pointer}/{token}")
    return found
