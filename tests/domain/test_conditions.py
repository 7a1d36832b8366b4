"""Entity tags and the syntax of conditions (section 1 of the extension's contract), at their boundaries."""

from hashlib import sha256

import pytest

from ccs_server.domain.conditions import ANY, Conditions, etag_of, read_tags
from ccs_server.domain.errors import InvalidInput


def test_an_entity_tag_is_half_of_the_sha_256_in_quotes() -> None:
    assert etag_of(b"1") == f'"{sha256(b"1").hexdigest()[:32]}"'


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a"', {'"a"'}),
        (' "a" ,\t"b","c" ', {'"a"', '"b"', '"c"'}),
        ('W/"a"', {'"a"'}),
        ('"a,b"', {'"a,b"'}),
        ('"*"', {'"*"'}),
        ('"é"', {'"é"'}),
        (",".join(f'"{n}"' for n in range(20)), {f'"{n}"' for n in range(20)}),
        ("*", ANY),
        (" * ", ANY),
    ],
)
def test_lists_of_tags_are_read(text: str, tags: set[str]) -> None:
    assert read_tags(text, "If-Match") == tags


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "a",
        '"',
        '""',
        '"a" "b"',
        '"a",',
        ',"a"',
        '"a",,"b"',
        '"a","b',
        '*, "a"',
        "**",
        'w/"a"',
        '"a b"',
        '"a"\n',
        ",".join(f'"{n}"' for n in range(21)),
    ],
)
def test_what_is_no_list_of_tags_is_refused_and_is_not_no_condition(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_tags(text, "If-Match")
    assert refused.value.field == "If-Match"


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "etag", "holds"),
    [
        (None, None, None, True),
        ('"a"', None, '"a"', True),
        ('"a"', None, '"b"', False),
        ('"a"', None, None, False),
        ("*", None, '"b"', True),
        ("*", None, None, False),
        (None, '"a"', '"a"', False),
        (None, '"a"', '"b"', True),
        (None, '"a"', None, True),
        (None, "*", '"b"', False),
        (None, "*", None, True),
        ('"a"', '"a"', '"a"', False),
        ('"a"', '"b"', '"a"', True),
    ],
)
def test_conditions_of_a_property(
    if_match: str | None, if_none_match: str | None, etag: str | None, holds: bool
) -> None:
    conditions = Conditions(
        read_tags(if_match, "If-Match") if if_match else None,
        read_tags(if_none_match, "If-None-Match") if if_none_match else None,
    )
    assert conditions.hold(etag, present=etag is not None) is holds
    assert bool(conditions) is (if_match is not None or if_none_match is not None)


def test_an_empty_document_has_a_tag_but_is_not_present() -> None:
    empty = etag_of(b"{}")
    assert Conditions(if_match=frozenset({empty})).hold(empty, present=False)
    assert not Conditions(if_match=ANY).hold(empty, present=False)
    assert Conditions(if_none_match=ANY).hold(empty, present=False)
