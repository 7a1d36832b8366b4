"""Cursors: opaque, short, and bound to a query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccs_server.domain.cursors import MAX_CURSOR_LENGTH, new_cursor, position_of
from ccs_server.domain.errors import InvalidInput

QUERY = ("find", "demo", "orders", "{}", "")


@pytest.mark.parametrize("position", ["", "s1", "é/😀?&=#", "__default__"])
def test_a_cursor_returns_to_its_position(position: str) -> None:
    assert position_of(new_cursor(QUERY, position), QUERY) == position


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_returns_to_whatever_position(position: str) -> None:
    assert position_of(new_cursor(QUERY, position), QUERY) == position


@pytest.mark.parametrize("last", ["\U0010ffff", "😀", "\uffff"])
def test_a_cursor_of_a_namespace_and_two_names_of_full_length_is_url_safe_and_short(
    last: str,
) -> None:
    position = "\n".join([128 * "n", 256 * last, 256 * last])
    cursor = new_cursor(QUERY, position)
    assert position_of(cursor, QUERY) == position
    assert len(cursor) <= 1914 < MAX_CURSOR_LENGTH
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("place", range(len(QUERY)))
def test_a_cursor_of_another_query_is_refused(place: int) -> None:
    other = [*QUERY[:place], f"{QUERY[place]}x", *QUERY[place + 1 :]]
    with pytest.raises(InvalidInput, match="same query") as caught:
        position_of(new_cursor(QUERY, "s1"), other)
    assert caught.value.field == "after"


def test_the_parts_of_a_query_are_not_confused() -> None:
    with pytest.raises(InvalidInput):
        position_of(new_cursor(("ab", "c"), "s1"), ("a", "bc"))


@pytest.mark.parametrize(
    "cursor",
    [
        "", "s1", "A", "AAAAA", "a b", "é", "+/==", "AAAA\n", "AAAA=", 20 * "A", 2049 * "A",
        new_cursor(QUERY, "s1")[:-2], new_cursor(QUERY, "s1") + "/w", new_cursor(QUERY, "s1") + "____",
    ],
)  # fmt: skip
def test_a_malformed_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        position_of(cursor, QUERY)
    assert caught.value.field == "after"
