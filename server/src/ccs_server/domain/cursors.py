"""Cursors: where the next page of a list begins.

A cursor is opaque to clients. It contains a position, and a digest of the query and the position, so that it is refused
for another query or if a part of it is missing. It is not signed: a made-up one only begins a page of the client's own
list elsewhere.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from json import dumps

from ccs_server.domain.errors import InvalidInput

MAX_CURSOR_LENGTH = 2048
"""The maximum length of a cursor, in characters. That of a namespace and two names, all of the maximum length and of
characters that UTF-8 writes in four bytes, has 1,914."""

_DIGEST_BYTES = 16

_CODE_POINTS = 0x110000
_REST = b"\xff"
"""Stands before the part of a position that is not UTF-8; UTF-8 itself does not have this byte."""

_starts_in_ascii = re.compile("[\x00-\x7f]*").match

_is_cursor = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}").fullmatch


def new_cursor(query: Sequence[str], position: str) -> str:
    """Returns the cursor of a position in the list that `query` describes: the kind of list, the account and so on."""
    content = _digest(query, position) + _packed(position)
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def position_of(cursor: str, query: Sequence[str], field: str = "after") -> str:
    """Returns the position that a cursor contains.

    Raises:
        InvalidInput: `cursor` is not a cursor, or is one of another query; `field` names where it was given.
    """
    refusal = InvalidInput(
        f"{field} must be the next of an earlier response to the same query; leave it out to begin again.",
        field,
    )
    try:
        decoded = _decode(cursor)
        position = _unpacked(decoded[_DIGEST_BYTES:])
    except ValueError:
        raise refusal from None
    if decoded[:_DIGEST_BYTES] != _digest(query, position):
        raise refusal
    return position


def _decode(cursor: str) -> bytes:
    if not _is_cursor(cursor):
        raise ValueError(cursor)
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def _packed(position: str) -> bytes:
    """The bytes of a position: from the first character on that is not ASCII, 20.1 bits for each.

    UTF-8 takes up to 32, and the cursor would be too long.
    """
    start = _starts_in_ascii(position)
    length = start.end() if start else 0
    if length == len(position):
        return position.encode()
    number = 1  # so that no U+0000 at the beginning is lost
    for character in position[length:]:
        number = number * _CODE_POINTS + ord(character)
    rest = number.to_bytes((number.bit_length() + 7) // 8)
    return position[:length].encode() + _REST + rest


def _unpacked(content: bytes) -> str:
    """The position of which these are the bytes.

    Raises:
        ValueError: they are not those of a position.
    """
    start, _, rest = content.partition(_REST)
    number = int.from_bytes(rest)
    characters = []
    while number > 1:
        number, code_point = divmod(number, _CODE_POINTS)
        characters.append(chr(code_point))
    return start.decode("ascii") + "".join(reversed(characters))


def _digest(query: Sequence[str], position: str) -> bytes:
    return sha256(dumps([*query, position]).encode()).digest()[:_DIGEST_BYTES]
