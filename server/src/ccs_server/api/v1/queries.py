"""The queries of v1's reads of properties. What a credential may read is judged by them too (`access`)."""

from typing import NamedTuple
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.pointers import read_pointer


class ReadQuery(NamedTuple):
    """What the query of a read asks for.

    Attributes:
        include: the names of the properties to read; None for all.
        meta: whether each value comes with its entity tag, expiry and last save.
        pointer: the reference tokens of the part of the value to read.
    """

    include: list[str] | None
    meta: bool
    pointer: tuple[str, ...]


WHOLE = ReadQuery(None, meta=False, pointer=())
"""The query of a read without one."""

_META = {None: False, "false": False, "true": True}


def read_query(environ: WSGIEnvironment) -> ReadQuery:
    """The query of a request that reads. Werkzeug reads a query slowly, and nearly no request has one.

    It would also read U+FFFD where the query is not UTF-8, which is a name too.

    Raises:
        InvalidInput: a parameter cannot be read.
    """
    text: str = environ["QUERY_STRING"]
    if not text:
        return WHOLE
    try:
        query = parse_qs(text.encode("latin-1").decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The query must be percent-encoded UTF-8.", "include") from None
    include, meta, pointer = (query.get(name, [None])[0] for name in ("include", "meta", "pointer"))
    if meta not in _META:
        raise InvalidInput("meta must be 'true' or 'false'.", "meta")
    return ReadQuery(
        include.split(",") if include else None,
        _META[meta],
        read_pointer(pointer) if pointer else (),
    )
