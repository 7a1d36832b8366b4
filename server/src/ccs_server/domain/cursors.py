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
"""The maximum length of a cursor, in characters. That of a position of 1,024 bytes has 1,387."""

_DIGEST_BYTES = 16

_is_cursor = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}").fullmatch


def new_cursor(query: Sequence[str], position: str) -> str:
    """Returns the cursor of a position in the list that `query` describes: the kind of list, the account and so on."""
    return urlsafe_b64encode(_digest(query, position) + position.encode()).rstrip(b"=").decode()


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
        position = decoded[_DIGEST_BYTES:].decode()
    except ValueError:
        raise refusal from None
    if decoded[:_DIGEST_BYTES] != _digest(query, position):
        raise refusal
    return position


def _decode(cursor: str) -> bytes:
    if not _is_cursor(cursor):
        raise ValueError(cursor)
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def _digest(query: Sequence[str], position: str) -> bytes:
    return sha256(dumps([*query, position]).encode()).digest()[:_DIGEST_BYTES]
