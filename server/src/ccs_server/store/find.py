"""Finds the sessions of a namespace by what is stored in them.

A request looks at a limited number of sessions, one after the other, with a skip scan of the primary key. In each it
reads only the properties that the conditions name. So its cost depends on how many sessions it looks at, but not on how
many properties they have, nor on how many sessions follow.

An index (`search_entry`) changes only which sessions are looked at. Each is then judged in the same way, so what is
found is the same.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Self

from msgspec import Raw, json
from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import Conflict, InvalidInput, TooLarge
from ccs_server.domain.where import Condition, Where
from ccs_server.store.connection import Statement, Step
from ccs_server.store.database import Database
from ccs_server.store.features import SearchIndex
from ccs_server.store.search_index import known_index, read_index
from ccs_server.store.sessions import PAGE_LIMIT

LOOK_LIMIT = 10_000
"""The maximum number of sessions that one request looks at."""

READ_LIMIT = 32_000_000
"""A request ends its page when the values that it has compared exceed this, in characters."""

# $1 account, $2 namespace, $3 the session id after which to begin, $4 the prefix of session ids, $5 the conditions as a
# JSON array, $6 the maximum number of sessions to return (0: only count them), $7 the properties to return as JSON
# (true: all, false: none, or an array of names), $8 LOOK_LIMIT, $9 READ_LIMIT, $10 PAGE_LIMIT.
#
# `looked` steps from session to session with a skip scan, as the lists of sessions do. It also stops at sessions whose
# properties have all expired, which match nothing, so that a step is short however many of them await the purge. In
# each session the conditions are evaluated up to the first that does not hold, or to the last one (`decisive`). `read`
# is a running sum, so that PostgreSQL can stop there.
#
# OFFSET 0 keeps the planner from moving an expression to each of its uses, where it would be computed again. A number
# is cast only if that cannot fail: if it is short, or if `double()` succeeds, which is silent about those out of range.
#
# The sessions are NULL if their properties exceed $10 characters.
_FIND = """
    WITH RECURSIVE condition AS MATERIALIZED (
        SELECT * FROM json_to_recordset($5) AS c (
            name text COLLATE "C", is_present boolean, strings text[], numbers double precision[], words text[],
            string_from text COLLATE "C", string_below text COLLATE "C", string_not text COLLATE "C",
            number_from double precision, number_to double precision, number_not double precision
        )
    ), /*more*/looked AS (
        SELECT id AS namespace_id, $3::text COLLATE "C" AS session_id, /*first place*/false AS matches,
            0::bigint AS sessions, 0::bigint AS matched, 0::bigint AS read
        FROM namespace WHERE account = $1 AND name = $2/*is ready*/
        UNION ALL
        SELECT looked.namespace_id, next.session_id, /*next place*/judged.matches,
            looked.sessions + 1, looked.matched + judged.matches::integer, looked.read + judged.read
        FROM looked CROSS JOIN LATERAL (
/*next*/
        ) AS next LEFT JOIN LATERAL (
            SELECT tried.holds, tried.read
            FROM (
                SELECT row_number() OVER so_far AS place, sum(coalesce(found.size, 0)) OVER so_far AS read,
                    coalesce(CASE
                        WHEN condition.is_present IS NOT NULL OR found.type IS NULL
                            THEN condition.is_present = (found.type IS NOT NULL)
                        WHEN found.type = 'string' THEN found.scalar = ANY (condition.strings)
                            OR (found.scalar >= condition.string_from
                                AND coalesce(found.scalar < condition.string_below, true)
                                AND coalesce(found.scalar <> condition.string_not, true))
                        WHEN found.type = 'number' THEN as_double.number = ANY (condition.numbers)
                            OR (as_double.number BETWEEN condition.number_from AND condition.number_to
                                AND coalesce(as_double.number <> condition.number_not, true))
                        WHEN found.type IN ('boolean', 'null')
                            THEN coalesce(found.scalar, 'null') = ANY (condition.words)
                    END, false) AS holds
                FROM condition LEFT JOIN LATERAL (
                    SELECT p.size, json_typeof(p.value) AS type,
                        CASE WHEN json_typeof(p.value) NOT IN ('object', 'array') THEN p.value #>> '{}' END AS scalar
                    FROM property p
                    WHERE p.account = $1 AND p.namespace_id = looked.namespace_id
                        AND p.session_id = next.session_id AND p.expires_at > now()
                        AND p.name = condition.name
                    OFFSET 0
                ) AS found ON true CROSS JOIN LATERAL (
                    SELECT CASE WHEN found.type <> 'number' THEN NULL
                        WHEN length(found.scalar) <= 300 AND found.scalar !~ '[eE]'
                            THEN found.scalar::double precision
                        WHEN jsonb_path_exists(to_jsonb(found.scalar), '$.double()', '{}', true)
                            THEN found.scalar::double precision
                    END AS number
                    OFFSET 0
                ) AS as_double
                WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)
            ) AS tried
            WHERE NOT tried.holds OR tried.place = (SELECT count(*) FROM condition)
            LIMIT 1
        ) AS decisive ON true CROSS JOIN LATERAL (
            SELECT coalesce(decisive.read, 0)::bigint AS read, coalesce(decisive.holds, true)/*and*/ AS matches
            OFFSET 0
        ) AS judged
        WHERE looked.sessions < $8::bigint AND looked.read <= $9::bigint
            AND (looked.matched < $6::bigint OR $6::bigint = 0)
            /*until*/
    ), last AS MATERIALIZED (
        SELECT session_id, /*place*/matched, sessions,
            sessions = $8::bigint OR read > $9::bigint OR matched = nullif($6::bigint, 0) AS is_cut
        FROM looked ORDER BY sessions DESC LIMIT 1
    ), page AS MATERIALIZED (
        SELECT namespace_id, session_id, sessions FROM looked WHERE matches AND $6::bigint > 0
    ), field AS MATERIALIZED (
        SELECT json_array_elements_text($7::json) AS name WHERE json_typeof($7::json) = 'array'
    ), size AS MATERIALIZED (
        SELECT coalesce(sum(p.size), 0) AS size
        FROM page JOIN property p
            ON p.account = $1 AND p.namespace_id = page.namespace_id
            AND p.session_id = page.session_id AND p.expires_at > now()
        WHERE $7::text <> 'false' AND ($7::text = 'true' OR p.name IN (SELECT name FROM field))
    )
    SELECT CASE WHEN (SELECT size FROM size) <= $10::bigint THEN (
        SELECT coalesce(json_agg(CASE $7::text
            WHEN 'false' THEN json_build_object(
                'sessionId', page.session_id, 'updatedAt', session.updated_at)
            ELSE json_build_object(
                'sessionId', page.session_id, 'updatedAt', session.updated_at, 'properties', session.properties)
            END ORDER BY page.sessions), '[]')
        FROM page CROSS JOIN LATERAL (
            SELECT to_char(max(p.updated_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at,
                coalesce(json_object_agg(p.name, p.value) FILTER (
                    WHERE $7::text = 'true' OR p.name IN (SELECT name FROM field)), '{}') AS properties
            FROM property p
            WHERE p.account = $1 AND p.namespace_id = page.namespace_id
                AND p.session_id = page.session_id AND p.expires_at > now()
        ) AS session
    ) END, (SELECT /*cursor*/ FROM last WHERE is_cut), (SELECT matched FROM last), (SELECT sessions FROM last)
    """


def _statement(name: str, **parts: str) -> Statement:
    text = _FIND
    for part, replacement in parts.items():
        text = text.replace(f"/*{part.replace('_', ' ')}*/", replacement)
    return Statement.of(name, re.sub(r"/\*[a-z ]+\*/", "", text))


_BY_SESSION_ID = {"until": "AND starts_with(next.session_id, $4)", "cursor": "session_id"}

FIND = _statement(
    "find_sessions",
    next="""
            SELECT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = looked.namespace_id
                AND p.session_id > looked.session_id AND p.session_id >= $4
            ORDER BY p.session_id LIMIT 1""",
    **{
        "and": """ AND EXISTS (
                SELECT 1 FROM property p
                WHERE p.account = $1 AND p.namespace_id = looked.namespace_id
                    AND p.session_id = next.session_id AND p.expires_at > now()
            )"""
    },
    **_BY_SESSION_ID,
)

# Nothing is looked at (the third column is NULL) unless the namespace has the index now.
_IS_READY = " AND (settings->>'generation')::integer = (settings->>'readyGeneration')::integer"

# Looks at the sessions in which the property $11 has one of the values $12, a JSON array, and at those in which it may
# have had. They are judged as above; one in which the property has the value is there. That the key is equal is written
# as a range, since the order by `key` then leaves no other index: in that of the primary key, the next session that has
# a rare value may be thousands of rows away.
FIND_BY_KEY = _statement(
    "find_sessions_by_key",
    more="""wanted AS MATERIALIZED (
        SELECT DISTINCT ccs_search_key(value) COLLATE "C" AS key FROM json_array_elements($12) AS value
    ), """,
    next="""
            SELECT found.session_id FROM wanted CROSS JOIN LATERAL (
                SELECT e.session_id FROM search_entry e
                WHERE e.account = $1 AND e.namespace_id = looked.namespace_id AND e.name = $11
                    AND (e.key, e.session_id) >= (wanted.key, greatest(looked.session_id, $4))
                    AND e.key <= wanted.key AND e.session_id > looked.session_id
                ORDER BY e.key, e.session_id LIMIT 1
            ) AS found
            ORDER BY found.session_id LIMIT 1""",
    is_ready=_IS_READY + " AND (settings->'index')::jsonb ? $11",
    **_BY_SESSION_ID,
)

# Looks at properties by their last save, the latest first, from before that of the session $3, the time $11 and the
# name $12. One that is not the latest of its session, or was saved again, does not match.
FIND_BY_UPDATE = _statement(
    "find_sessions_by_update",
    first_place="""$11::timestamptz AS listed_at, $12::text COLLATE "C" AS name, """,
    next_place="next.listed_at, next.name, ",
    next="""
            SELECT e.session_id, e.listed_at, e.name FROM search_entry e
            WHERE e.account = $1 AND e.namespace_id = looked.namespace_id
                AND e.listed_at IS NOT NULL
                AND (e.listed_at, e.session_id, e.name) < (looked.listed_at, looked.session_id, looked.name)
            ORDER BY e.listed_at DESC, e.session_id DESC, e.name DESC LIMIT 1""",
    **{
        "and": """ AND starts_with(next.session_id, $4) AND (
                SELECT (coalesce(p.updated_at, '-infinity'), p.name) FROM property p
                WHERE p.account = $1 AND p.namespace_id = looked.namespace_id
                    AND p.session_id = next.session_id AND p.expires_at > now()
                ORDER BY coalesce(p.updated_at, '-infinity') DESC, p.name DESC LIMIT 1
            ) = (next.listed_at, next.name)"""
    },
    place="listed_at, name, ",
    cursor="""coalesce(nullif(to_char(listed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), ''), '-infinity')
        || E'\\n' || session_id || E'\\n' || name""",
    is_ready=_IS_READY + " AND (settings->>'sortByUpdate')::boolean",
)


class Search(NamedTuple):
    """What to find, and which part of it to return.

    Attributes:
        account: the account.
        namespace: its namespace.
        where: the conditions that a session must meet.
        prefix: what the session's id must begin with.
        fields: which properties to return: all, none, or those of these names.
    """

    account: str
    namespace: str
    where: Where
    prefix: str = ""
    fields: bool | Collection[str] = False


class Page(NamedTuple):
    """What one request has found.

    Attributes:
        sessions: a JSON array of `{"sessionId","updatedAt","properties"}`.
        last: the last session that was looked at; None if all were.
        matched: how many of those that were looked at matched.
        looked: how many were looked at.
    """

    sessions: bytes
    last: str | None
    matched: int
    looked: int = 0


class Place(NamedTuple):
    """A place in the order by update: what precedes it was saved later.

    Attributes:
        listed_at: when the last property was saved; `infinity` is before all, `-infinity` an unknown time.
        session_id: its session.
        name: its name.
    """

    listed_at: str = "infinity"
    session_id: str = ""
    name: str = ""

    def __str__(self) -> str:
        return "\n".join(self)

    @classmethod
    def read(cls, text: str) -> Self:
        """Returns the place of which this is the text.

        Raises:
            ValueError: it is that of none.
        """
        listed_at, session_id, name = text.split("\n")
        if listed_at != "-infinity":
            datetime.strptime(listed_at, "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - only checked
        return cls(listed_at, session_id, name)


def find_sessions(database: Database, search: Search, *, after: str = "", limit: int) -> Page:
    """Returns at most `limit` sessions that follow the session id `after`, in order.

    The page may be short or empty although sessions follow. With a limit of 0, it only counts sessions.

    Raises:
        TooLarge: the properties of the page would exceed PAGE_LIMIT.
    """
    if search.where.conditions is None:
        return Page(b"[]", None, 0)
    statement, params = find_step(search, after=after, limit=limit, look=LOOK_LIMIT)
    if any(_values_of(condition) for condition in search.where.conditions):
        index = known_index(database, search.account, search.namespace)
        condition = _indexed(search.where.conditions, index.names)
        if condition is not None:
            more = condition.name.encode(), _values_of(condition)
            result = database.execute(FIND_BY_KEY, *params, *more)
            if _is_valid(result):
                return page_of(result)
            database.indexes.drop((search.account, search.namespace))
    return page_of(database.execute(statement, *params))


def find_by_update(database: Database, search: Search, *, after: Place, limit: int) -> Page:
    """Returns at most `limit` sessions that follow a place, those saved last first; `last` is a place as text.

    Raises:
        InvalidInput: the namespace does not sort by update.
        Conflict: its index is not ready.
        TooLarge: the properties of the page would exceed PAGE_LIMIT.
    """
    if search.where.conditions is None:
        _check_sorted(read_index(database, search.account, search.namespace))
        return Page(b"[]", None, 0)
    _, params = find_step(search, after=after.session_id, limit=limit, look=LOOK_LIMIT)
    place = after.listed_at.encode(), after.name.encode()
    for index_of in (known_index, read_index):
        index = index_of(database, search.account, search.namespace)
        if index.is_sorted and index.is_ready:
            result = database.execute(FIND_BY_UPDATE, *params, *place)
            if _is_valid(result):
                return page_of(result)
    _check_sorted(index)
    raise Conflict(
        "The index by which this namespace is sorted is being filled; try again when its indexState is 'ready',"
        " or sort by 'sessionId'.",
        retry_after=1,
    )


def _check_sorted(index: SearchIndex) -> None:
    if not index.is_sorted:
        raise InvalidInput(
            "Sorting by '-updatedAt' is not turned on in this namespace; use 'sessionId', or turn its sortByUpdate on.",
            "sort",
        )


def _is_valid(result: PGresult) -> bool:
    """Whether the namespace had the index when the statement began."""
    return result.get_value(0, 2) is not None


def _indexed(conditions: Sequence[Condition], names: Collection[str]) -> Condition | None:
    """The first condition that the index helps with: one of equality, of an indexed name."""
    for condition in conditions:
        if condition.name in names and _values_of(condition):
            return condition
    return None


def _values_of(condition: Condition) -> bytes | None:
    """The values that the condition's property may equal, as a JSON array; None if there is no end of them."""
    if condition.words is None:
        return None
    values = [
        *(condition.strings or ()),
        *(condition.numbers or ()),
        *map(Raw, map(str.encode, condition.words)),
    ]
    return json.encode(values)


def find_step(search: Search, *, after: str, limit: int, look: int) -> Step:
    """The step of `find_sessions`, which looks at no more than `look` sessions; `page_of` is about its result."""
    return FIND, (
        search.account.encode(),
        search.namespace.encode(),
        after.encode(),
        search.prefix.encode(),
        json.encode(search.where.conditions),
        b"%d" % limit,
        json.encode(search.fields),
        b"%d" % look,
        b"%d" % READ_LIMIT,
        b"%d" % PAGE_LIMIT,
    )


def page_of(result: PGresult) -> Page:
    """The page that a step has found.

    Raises:
        TooLarge: its properties would exceed PAGE_LIMIT.
    """
    sessions, last, matched, looked = (result.get_value(0, column) for column in range(4))
    if sessions is None:
        raise TooLarge(
            f"The page is over {PAGE_LIMIT} characters; ask for a smaller limit or for fewer fields."
        )
    after = last.decode() if last is not None else None
    return Page(sessions, after, int(matched or 0), int(looked or 0))
