"""JSON pointers (RFC 6901): finds a part of a JSON text without changing a digit of it."""

import re

from msgspec import Raw
from msgspec.json import Decoder

from ccs_server.domain.errors import InvalidInput

_is_pointer = re.compile(r"(?:/(?:[^/~]|~[01])*)*").fullmatch
_is_index = re.compile(r"0|[1-9][0-9]*").fullmatch

_object = Decoder(dict[str, Raw])
_array = Decoder(list[Raw])


def read_pointer(text: str) -> tuple[str, ...]:
    """Parses a pointer into its reference tokens.

    Raises:
        InvalidInput: it is no JSON pointer.
    """
    if not _is_pointer(text):
        raise InvalidInput(
            "pointer must be empty or begin with '/', and have '~' only as '~0' or '~1'.", "pointer"
        )
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])


def resolve(value: bytes, tokens: tuple[str, ...]) -> bytes | None:
    """Returns the part of the JSON `value` that the tokens lead to; None if there is none."""
    for token in tokens:
        if value.startswith(b"{"):
            found = _object.decode(value).get(token)
        elif value.startswith(b"[") and _is_index(token):
            elements = _array.decode(value)
            # A longer number is past the end of any array, and costs time to convert.
            found = elements[int(token)] if len(token) < 10 and int(token) < len(elements) else None  # noqa: PLR2004
        else:
            return None
        if found is None:
            return None
        value = bytes(found)
    return value
