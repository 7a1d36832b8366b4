"""Reads the change log of an account.

A reader is at a position, and reads what follows it, or what precedes it. Positions are committed in their order, so a
range of them is all there is. One request looks at a limited number of positions, whatever it looks for.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from msgspec.json import encode

from ccs_server.domain.change_log import Position, cursor_of
from ccs_server.store.connection import Statement, array_parameter
from ccs_server.store.database import Database

LOOK_LIMIT = 10_000
"""The maximum number of positions that one request looks at."""

PAGE_LIMIT = 8_000_000
"""A page ends when its values exceed this, in characters, unless told otherwise."""

# $1 account, $2 the position after which (or before which) to begin, $3 the maximum number of events, $4 LOOK_LIMIT, $5
# the maximum number of characters, $6 namespaces, $7 session id, $8 a JSON array of names, $9 types, $10 the namespaces
# that the reader may use, where a `*` at the end stands for any characters. NULL stands for all.
#
# No row means that the account has never logged changes. Otherwise there is one for each event, or one without an
# event: the end of the log, its epoch, the last position that it has forgotten of these namespaces, the first position
# that was looked at (NULL if all were), the number of events that were found, and of the event its position and its
# members as JSON, without braces. Events are left out at the end if the values before them exceed $5.
_SELECT = """, head AS MATERIALIZED (
        SELECT h.pos, h.epoch, coalesce((
            SELECT max(f.pos) FROM change_floor f
            WHERE f.account = $1 AND ($6::text[] IS NULL OR f.ns = ANY ($6::text[]))
                AND ($10::text[] IS NULL OR EXISTS (
                    SELECT 1 FROM unnest($10::text[]) AS allowed
                    WHERE f.ns = allowed OR (right(allowed, 1) = '*' AND starts_with(f.ns, left(allowed, -1)))
                ))
        ), 0) AS forgotten
        FROM change_head h WHERE h.account = $1
    )
    SELECT head.pos, head.epoch, head.forgotten, (SELECT pos FROM start), (SELECT count(*) FROM page), page.pos,
        '"type":' || to_json(page.type) || ',"time":"'
        || to_char(page.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        || '","ns":' || to_json(page.ns)
        || CASE WHEN page.type LIKE 'property.%' THEN
            ',"session":' || to_json(page.session_id) || ',"name":' || to_json(page.name) ELSE '' END
        || CASE WHEN page.value IS NULL THEN '' WHEN page.type = 'erasure.done' THEN ',"counts":' || page.value
            ELSE ',"value":' || page.value END
        || CASE WHEN page.etag IS NOT NULL THEN ',"etag":' || to_json('"' || page.etag || '"') ELSE '' END
        || CASE WHEN page.expires_at IS NULL THEN '' WHEN page.expires_at = 'infinity' THEN ',"expiresAt":null'
            ELSE ',"expiresAt":"'
                || to_char(page.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"' END
        || CASE WHEN page.actor IS NULL THEN ''
            ELSE ',"by":' || to_json(regexp_replace(page.actor, '^key:', '')) END
        || CASE WHEN page.erasure IS NULL THEN '' ELSE ',"erasure":' || to_json(page.erasure) END
    FROM head LEFT JOIN page ON page.before < $5::bigint
    ORDER BY page.pos {order}"""

_FILTER = """
                AND ($6::text[] IS NULL OR c.ns = ANY ($6::text[]))
                AND ($7::text IS NULL OR c.session_id IN ($7::text, ''))
                AND ($8::json IS NULL OR c.name = '' OR c.name IN (SELECT name FROM wanted))
                AND ($9::text[] IS NULL OR c.type = ANY ($9::text[]))
                AND ($10::text[] IS NULL OR EXISTS (
                    SELECT 1 FROM unnest($10::text[]) AS allowed
                    WHERE c.ns = allowed OR (right(allowed, 1) = '*' AND starts_with(c.ns, left(allowed, -1)))
                ))"""

_BEGIN = """
    WITH wanted AS MATERIALIZED (
        SELECT json_array_elements_text($8::json) COLLATE "C" AS name
    ), """

# `page` has the values as they are stored; those that are left out are never read.
_PAGE = """page AS MATERIALIZED (
        SELECT found.*, coalesce(sum(found.size) OVER (ORDER BY found.pos {order}
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM ({found}) AS found
    )"""

# What the log has forgotten between $2 and the first event is passed at once.
_ALL = """start AS MATERIALIZED (
        SELECT c.pos FROM change c WHERE c.account = $1 AND c.pos {after} $2::bigint
        ORDER BY c.pos {order} LIMIT 1
    ), """
_OF_ALL = """
            SELECT c.* FROM change c
            WHERE c.account = $1 AND c.pos {after}= (SELECT pos FROM start)
                AND c.pos {until} (SELECT pos FROM start) {sign} $4::bigint {filter}
            ORDER BY c.pos {order} LIMIT $3::bigint
        """

# With one namespace, a session and names, an index finds the events, and those of the whole namespace, which have
# neither session nor name.
_PROPERTIES = """start AS MATERIALIZED (SELECT NULL::bigint AS pos WHERE $4::bigint < 0), """
_OF_PROPERTIES = """
            SELECT c.* FROM (
                SELECT $7::text COLLATE "C" AS session_id, name FROM wanted UNION ALL SELECT '', ''
            ) AS place CROSS JOIN LATERAL (
                SELECT c.* FROM change c
                WHERE c.account = $1 AND c.ns = ($6::text[])[1]
                    AND c.session_id = place.session_id AND c.name = place.name
                    AND c.pos {after} $2::bigint {filter}
                ORDER BY c.pos {order} LIMIT $3::bigint
            ) AS c
            ORDER BY c.pos {order} LIMIT $3::bigint
        """


def _statement(name: str, start: str, found: str, **order: str) -> Statement:
    page = _PAGE.format(found=found.format(filter=_FILTER, **order), **order)
    text = _BEGIN + start.format(**order) + page + _SELECT.format(**order)
    return Statement.of(name, text)


_FORWARD = {"after": ">", "until": "<", "sign": "+", "order": "ASC"}
_BACKWARD = {"after": "<", "until": ">", "sign": "-", "order": "DESC"}

READ = _statement("read_changes", _ALL, _OF_ALL, **_FORWARD)
READ_BACKWARD = _statement("read_changes_backward", _ALL, _OF_ALL, **_BACKWARD)
READ_PROPERTIES = _statement("read_changes_of_properties", _PROPERTIES, _OF_PROPERTIES, **_FORWARD)
READ_HISTORY = _statement("read_history", _PROPERTIES, _OF_PROPERTIES, **_BACKWARD)

# $1 accounts. The ends of their logs.
READ_HEADS = Statement.of(
    "read_change_heads",
    "SELECT account, epoch, pos FROM change_head WHERE account = ANY ($1::text[])",
)

NEWEST = 2**63 - 1
"""A position after all others."""


class Filter(NamedTuple):
    """Which events a reader wants; None stands for all.

    Attributes:
        namespaces: of these namespaces.
        session_id: of this session, or of its whole namespace; there is one namespace then.
        names: of these properties, or of their whole namespace; there is a session then.
        types: of these types.
        allowed: of the namespaces that the reader may use; a `*` at the end of one stands for any characters.
    """

    namespaces: Sequence[str] | None = None
    session_id: str | None = None
    names: Collection[str] | None = None
    types: Sequence[str] | None = None
    allowed: Sequence[str] | None = None


class Event(NamedTuple):
    """An event of the log.

    Attributes:
        position: its place.
        members: its members as JSON, without the braces and its id.
    """

    position: int
    members: bytes


class Page(NamedTuple):
    """What one request has found.

    Attributes:
        events: the events, in the order of the request.
        next: the position that was reached; None if a reader that goes backward has reached the beginning.
        head: the end of the log.
        epoch: which history the positions are of; 0 if nothing was ever logged.
        forgotten: the last position that the log has forgotten of these namespaces.
    """

    events: Sequence[Event]
    next: int | None
    head: int = 0
    epoch: int = 0
    forgotten: int = 0


def event_json(account: str, epoch: int, event: Event) -> bytes:
    """An event as a JSON object."""
    cursor = cursor_of(account, Position(epoch, event.position))
    return b'{"id":"%b",%b}' % (cursor.encode(), event.members)


def is_known(position: Position, page: Page, *, backward: bool = False) -> bool:
    """Whether the log had everything that follows the position, or precedes it, when the page was read."""
    if position.epoch == 0 and position.number == 0:
        # It is of a time at which nothing had ever been logged.
        return page.forgotten == 0
    if position.epoch != page.epoch or position.number > page.head + backward:
        return False
    return backward or page.forgotten <= position.number


def read_changes(  # noqa: PLR0913 - whose log, and which part of it
    database: Database,
    account: str,
    wanted: Filter,
    *,
    after: int,
    limit: int,
    backward: bool,
    characters: int = PAGE_LIMIT,
) -> Page:
    """Returns at most `limit` events that follow the position `after`, or that precede it.

    The page may be short or empty although events follow. It ends when its values exceed so many characters.
    """
    of_properties = wanted.session_id is not None and wanted.names is not None
    if backward:
        statement = READ_HISTORY if of_properties else READ_BACKWARD
    else:
        statement = READ_PROPERTIES if of_properties else READ
    result = database.execute(
        statement,
        account.encode(),
        b"%d" % after,
        b"%d" % limit,
        b"%d" % LOOK_LIMIT,
        b"%d" % characters,
        _array(wanted.namespaces),
        wanted.session_id.encode() if wanted.session_id is not None else None,
        encode(list(wanted.names)) if wanted.names is not None else None,
        _array(wanted.types),
        _array(wanted.allowed),
    )
    if not result.ntuples:
        return Page([], None if backward else 0)
    head, epoch, forgotten, found = (
        int(result.get_value(0, column) or 0) for column in (0, 1, 2, 4)
    )
    begun = result.get_value(0, 3)
    start = None if begun is None else int(begun)
    events = [
        Event(int(position), result.get_value(row, 6) or b"")
        for row in range(result.ntuples)
        if (position := result.get_value(row, 5)) is not None
    ]
    is_cut = len(events) < found or found >= limit
    if is_cut:
        reached: int | None = events[-1].position if events else min(after, head + backward)
    elif backward:
        reached = start - LOOK_LIMIT + 1 if start is not None and start > LOOK_LIMIT else None
    else:
        looked = head if start is None else min(head, start + LOOK_LIMIT - 1)
        reached = max(looked, events[-1].position if events else 0)
    return Page(events, reached, head, epoch, forgotten)


def read_heads(database: Database, accounts: Iterable[str]) -> dict[str, Position]:
    """Returns the ends of the logs of these accounts, without those that have never logged changes."""
    found = database.execute(READ_HEADS, _array(list(accounts)))
    heads = {}
    for row in range(found.ntuples):
        account, epoch, number = (found.get_value(row, column) or b"" for column in range(3))
        heads[account.decode()] = Position(int(epoch), int(number))
    return heads


def _array(names: Sequence[str] | None) -> bytes | None:
    return None if names is None else array_parameter(name.encode() for name in names)
