"""What an erasure looks for, as parameters of statements: patterns of LIKE, which are exact unless parts are wanted."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.json import encode

from ccs_server.domain.conditions import etag_of


class Match(Struct, forbid_unknown_fields=True):
    """The strings of which any is to be found.

    Attributes:
        sessions: in the ids of sessions.
        names: in the names of properties.
        values: in values: in a string anywhere in one, or in the name of a member.
        is_part: whether a part is enough.
    """

    sessions: Sequence[str] = ()
    names: Sequence[str] = ()
    values: Sequence[str] = ()
    is_part: bool = False


_special = re.compile(r"[\\%_]")

# JSON writes these with a backslash, or may.
_escaped = re.compile(r'["\\/\x00-\x1f\x7f]')


class Patterns(NamedTuple):
    """The parameters of a statement that looks for a match: arrays as JSON.

    Attributes:
        sessions: patterns of session ids.
        names: patterns of names.
        values: patterns of strings in values.
        texts: patterns of the text of a value; one that is like none of them has no string that is like `values`. It
            takes a hundredth of the time to find that out.
        etags: the entity tags of values that are one of the strings.
    """

    sessions: bytes
    names: bytes
    values: bytes
    texts: bytes
    etags: bytes


def patterns_of(match: Match) -> Patterns:
    """Returns the parameters."""

    def patterns(strings: Iterable[str]) -> bytes:
        return encode([_pattern(each, is_part=match.is_part) for each in strings])

    return Patterns(
        patterns(match.sessions),
        patterns(match.names),
        patterns(match.values),
        encode(_texts(match.values)),
        encode(
            [] if match.is_part else [etag_of(encode(each)).strip('"') for each in match.values]
        ),
    )


def _pattern(string: str, *, is_part: bool) -> str:
    escaped = _special.sub(r"\\\g<0>", string)
    return f"%{escaped}%" if is_part else escaped


def _texts(values: Sequence[str]) -> list[str]:
    """Patterns of the JSON texts that may have one of the strings: as it is, or with escapes."""
    if not values:
        return []
    with_escapes = r"%\\%" if any(map(_escaped.search, values)) else r"%\\u%"
    return [with_escapes, *(_pattern(each, is_part=True) for each in values)]
