"""Paths contain every name exactly, or report that they cannot."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccs_sdk import _paths


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("plain-name_1.~", "plain-name_1.~"),
        ("a b", "a%20b"),
        ("image/png", "image%2Fpng"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("?#&=+,;", "%3F%23%26%3D%2B%2C%3B"),
        ("é", "%C3%A9"),
        ("😀", "%F0%9F%98%80"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("a/../b", "a%2F..%2Fb"),
    ],
)
def test_names_are_encoded_as_segments(name: str, segment: str) -> None:
    assert _paths.segment(name) == segment


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_segment_decodes_to_its_name_and_has_no_slash(name: str) -> None:
    segment = _paths.segment(name)
    assert unquote(segment) == name
    assert not set(segment) & set("/?#")
    assert segment not in {".", ".."}


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a", True), ("/", True), ("a/", True), ("/a", True), (".", False), ("..", False)],
)
def test_only_dot_names_do_not_fit_a_path(name: str, fits: bool) -> None:
    assert _paths.fits_path(name) is fits


@pytest.mark.parametrize(
    ("names", "query"),
    [
        (["a"], "?include=a"),
        (["a", "b c"], "?include=a,b%20c"),
        (["a,b"], None),
        (["x" * 256] * 20, None),
    ],
)
def test_include_lists_the_names_or_is_none(names: list[str], query: str | None) -> None:
    assert _paths.include(names) == query


def test_a_query_omits_parameters_that_are_none() -> None:
    assert _paths.query(ttlSecond=None) == ""
    assert _paths.query(page=0, perPage=100) == "?page=0&perPage=100"
