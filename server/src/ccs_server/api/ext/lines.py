"""The lines of exports and imports: writes pages with their cursors, and reads and checks what is to be imported."""

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder

from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.ext.transfer_schemas import Line
from ccs_server.domain.cursors import new_cursor, position_of
from ccs_server.domain.errors import ContextError, InvalidInput
from ccs_server.domain.limits import FOREVER, MAX_TTL_SECONDS
from ccs_server.domain.names import (
    DEFAULT_SESSION,
    check_namespace,
    check_property,
    check_session,
)
from ccs_server.http.body import MALFORMED, decode_json, storable
from ccs_server.store.exporting import Export, Page, Position
from ccs_server.store.importing import Import

_line = Decoder(Line)

_END = b'{"end":true}\n'
_SEPARATOR = "\n"  # no name contains it


def write_page(page: Page, wanted: Export) -> bytes:
    """Returns the lines of a page, and a last one that says where the next page begins or that this is the end."""
    last = _END
    if page.last is not None:
        cursor = new_cursor(_query(wanted), _SEPARATOR.join(page.last))
        last = b'{"next":"%b"}\n' % cursor.encode()
    return b"%b\n%b" % (page.lines, last) if page.lines else last


def read_cursor(cursor: str, wanted: Export) -> Position:
    """Returns the position that the cursor of a page contains.

    Raises:
        InvalidInput: it is not a cursor of this export.
    """
    parts = position_of(cursor, _query(wanted)).split(_SEPARATOR)
    if len(parts) != len(Position._fields):
        raise InvalidInput("after must be the next of an earlier response.", "after")
    position = Position(*parts)
    # A client may have made the cursor up.
    check_namespace(position.namespace, "after")
    if position.session_id or position.name:
        check_session(position.session_id, "after")
    if position.name:
        check_property(position.name, "after")
    return position


def _query(wanted: Export) -> tuple[str, ...]:
    return "export", wanted.account, wanted.namespace or "", wanted.session_id or ""


def read_lines(text: bytes, into: Import, check: Callable[[str], object]) -> None:
    """Adds lines to an import. Empty ones, and those that end the pages of an export, are left out.

    Args:
        text: the lines.
        into: the import.
        check: called with each namespace; raises a ContextError to refuse it.

    Raises:
        ContextError: a line is malformed or not allowed. Its member `line` is the line's number, from 1.
    """
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        try:
            _add(line, number, into, check)
        except ContextError as error:
            error.members["line"] = number
            raise


def _add(text: bytes, number: int, into: Import, check: Callable[[str], object]) -> None:
    if not text.isascii():
        _check_utf8(text)
    line = decode_json(_line, text)
    if line.next is not UNSET or line.end is not UNSET:
        if line != Line(next=line.next, end=line.end):
            raise InvalidInput("The line that ends a page has no other members.", "ns")
    elif not isinstance(line.ns, str):
        raise InvalidInput("A line needs the member ns.", "ns")
    elif line.ttlSecond is not UNSET:
        _add_ttl(line, line.ns, line.ttlSecond, into, check)
    elif isinstance(line.name, str) and isinstance(line.value, Raw):
        session = DEFAULT_SESSION if line.session is UNSET else line.session
        document = into.find_document(line.ns, session)
        if document is None:
            check(check_namespace(line.ns, "ns"))
            check_session(session, "session")
            document = into.add_document(line.ns, session, number)
        check_property(line.name, "name")
        value = storable(bytes(line.value), wrapping=0)
        expires_at = _in_utc(line.expiresAt, "expiresAt")
        updated_at = _in_utc(line.updatedAt, "updatedAt")
        into.add_property(document, line.name, value, expires_at, updated_at)
    else:
        raise InvalidInput("A line needs either ttlSecond, or name and value.", "name")


def _add_ttl(
    line: Line, namespace: str, given: float, into: Import, check: Callable[[str], object]
) -> None:
    if line != Line(ns=namespace, session=line.session, ttlSecond=given):
        raise InvalidInput("A line with ttlSecond has ns and session beside it.", "ttlSecond")
    check(check_namespace(namespace, "ns"))
    ttl = check_whole(given, FOREVER, MAX_TTL_SECONDS, "ttlSecond")
    if line.session is UNSET:
        into.add_namespace(namespace, ttl)
    elif check_session(line.session, "session") == DEFAULT_SESSION:
        raise InvalidInput(
            "The session '__default__' has no TTL; set it on the namespace.", "session"
        )
    else:
        into.add_session(namespace, line.session, ttl)


def _in_utc(given: datetime | UnsetType | None, field: str) -> datetime | UnsetType | None:
    if not isinstance(given, datetime) or given.tzinfo is UTC:
        return given
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{field} must be before the year 10000 in UTC.", field) from None


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise InvalidInput(MALFORMED, "body") from None
