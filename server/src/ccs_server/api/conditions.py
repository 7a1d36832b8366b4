"""Reads the headers that make a request conditional, fence it, or give it a TTL."""

from dataclasses import dataclass
from wsgiref.types import WSGIEnvironment

from ccs_server.domain.conditions import UNCONDITIONAL, Conditions, read_tags
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import FOREVER, MAX_FENCE, MAX_TTL_SECONDS
from ccs_server.store.operations.base import KEEP_TTL

_IF_MATCH, _IF_NONE_MATCH = "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"
_TTL, _FENCE = "HTTP_CCS_TTL", "HTTP_CCS_FENCE"

KEEP = "keep"
"""The TTL of a save that leaves the expiry of existing properties as it is."""

_TAG = r'(W/)?"[\u0021\u0023-\u007e\u0080-\u00ff]+"'
# The examples are the schema's, not the parameters', with which Swagger UI would begin each request.
_CONDITION = {
    "type": "string",
    "pattern": rf"^(\*|{_TAG}([ \t]*,[ \t]*{_TAG}){{0,19}})$",
    "examples": ["*", '"6b86b273ff34fce19d6b804eff5a3f57"'],
}

PARAMETERS = [
    {
        "name": "If-Match",
        "in": "header",
        "schema": _CONDITION,
        "description": "Only if it has one of these entity tags now or, for `*`, if it exists; else 412.",
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "schema": _CONDITION,
        "description": "Only if it has none of these entity tags or, for `*`, if it does not exist; "
        "else 304 for a read and 412 for a write.",
    },
]
TTL = {
    "name": "Ccs-TTL",
    "in": "header",
    "schema": {
        "anyOf": [
            {"type": "integer", "minimum": FOREVER, "maximum": MAX_TTL_SECONDS},
            {"const": KEEP},
        ],
        "examples": [300],
    },
    "description": "Seconds that the properties of this request live, 0 for ever; `keep` leaves the expiry of those "
    "that exist.",
}
FENCE = {
    "name": "Ccs-Fence",
    "in": "header",
    "schema": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_FENCE,
        "examples": [1795798739728],
    },
    "description": "The fence of a lease of the session: only while the lease has it, else 412.",
}
"""Documentation of the headers."""

ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The entity tag of the content."}}
NOT_MODIFIED = {"304": {"description": "It has one of the entity tags of If-None-Match."}}


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What the headers of a write say. `ttl` is as in `store.operations.writes.Set`."""

    conditions: Conditions
    ttl: int | None
    fence: int | None


def read_conditions(environ: WSGIEnvironment) -> Conditions:
    """The conditions of a request.

    Raises:
        InvalidInput: a header cannot be read. That must not count as no condition.
    """
    if _IF_MATCH not in environ and _IF_NONE_MATCH not in environ:
        return UNCONDITIONAL
    return Conditions(
        _tags(environ, _IF_MATCH, "If-Match"), _tags(environ, _IF_NONE_MATCH, "If-None-Match")
    )


def read_write_options(environ: WSGIEnvironment, *, takes_ttl: bool) -> WriteOptions | None:
    """What the headers of a write say; None if it has none of them.

    Raises:
        InvalidInput: a header cannot be read.
    """
    if not (
        _IF_MATCH in environ
        or _IF_NONE_MATCH in environ
        or _FENCE in environ
        or (takes_ttl and _TTL in environ)
    ):
        return None
    ttl = read_ttl(environ[_TTL]) if takes_ttl and _TTL in environ else None
    fence = read_fence(environ[_FENCE]) if _FENCE in environ else None
    return WriteOptions(read_conditions(environ), ttl, fence)


def read_ttl(text: str) -> int:
    """Parses the header Ccs-TTL.

    Raises:
        InvalidInput: it is neither a whole number of seconds nor `keep`.
    """
    if text == KEEP:
        return KEEP_TTL
    seconds = _natural(text)
    if seconds is None or seconds > MAX_TTL_SECONDS:
        raise InvalidInput(
            f"Ccs-TTL must be a whole number of seconds from 0 to {MAX_TTL_SECONDS}, or '{KEEP}'.",
            "Ccs-TTL",
        )
    return seconds


def read_fence(text: str) -> int:
    """Parses the header Ccs-Fence.

    Raises:
        InvalidInput: it is no fence.
    """
    fence = _natural(text)
    if not fence or fence > MAX_FENCE:
        raise InvalidInput("Ccs-Fence must be the fence that the lease returned.", "Ccs-Fence")
    return fence


def _tags(environ: WSGIEnvironment, key: str, header: str) -> frozenset[str] | None:
    return read_tags(environ[key], header) if key in environ else None


_MOST_DIGITS = 16


def _natural(text: str) -> int | None:
    """A whole number from 0 in ASCII digits; None if it is not one, or too long for any of ours."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else None
