"""Exports what an account stores, one page after the other.

A page is a range of all lines of the account in their order. It begins at a position, so its cost depends on neither
what precedes nor what follows it, and what exists all the time is exported exactly once, whatever is written meanwhile.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ccs_server.store.connection import Statement, array_parameter
from ccs_server.store.database import Database

PAGE_CHARACTERS = 4_000_000
"""A page ends with the row that exceeds this, in characters of property data."""

# The position of a row is (namespace, session id, name). A namespace itself has the empty session id, and the TTL of a
# session the empty name, so each precedes what it contains.
#
# A page is made of a number of rows, whether they have expired or not. So its cost is bounded however many rows await
# the purge, and it may have fewer lines than rows.
#
# `key` is session id and name, separated by a character that precedes all those of names: keys are ordered as rows are.

# $1 account, $2 an array of the namespaces to export, NULL for all (a `*` at the end of one stands for any characters),
# $3 the only namespace, NULL for all of $2, $4, $5 and $6 the position after which to begin, $7 the maximum number of
# rows, $8 PAGE_CHARACTERS. Returns the lines, the position of the last row, and whether the page was cut.
#
# `step` goes from namespace to namespace, with what is left of the page.
EXPORT = Statement.of(
    "export",
    """
    WITH RECURSIVE step AS (
        SELECT NULL::text COLLATE "C" AS ns, NULL::text COLLATE "C" AS key, NULL::text COLLATE "C" AS lines,
            $7::bigint AS rows_left, $8::bigint AS characters_left, false AS is_cut
        UNION ALL
        SELECT next.name, part.key, part.lines, step.rows_left - part.rows,
            step.characters_left - part.characters, part.is_cut
        FROM step CROSS JOIN LATERAL (
            SELECT n.id, n.name, n.ttl_seconds, step.ns IS NULL AND n.name = $4 AS is_resumed
            FROM namespace n
            WHERE n.account = $1 AND n.name >= coalesce(step.ns, greatest($4, $3))
                AND n.name IS DISTINCT FROM step.ns AND ($3::text IS NULL OR n.name = $3)
                AND ($2::text[] IS NULL OR EXISTS (
                    SELECT 1 FROM unnest($2::text[]) AS allowed
                    WHERE n.name = allowed
                        OR (right(allowed, 1) = '*' AND starts_with(n.name, left(allowed, -1)))
                ))
            ORDER BY n.name LIMIT 1
        ) AS next CROSS JOIN LATERAL (
            SELECT CASE WHEN next.is_resumed THEN $5 ELSE '' END COLLATE "C" AS session_id,
                CASE WHEN next.is_resumed THEN $6 ELSE '' END COLLATE "C" AS name
        ) AS start CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE is_in_page) AS rows,
                coalesce(sum(size) FILTER (WHERE is_in_page), 0)::bigint AS characters,
                max(session_id || E'\\x01' || name) FILTER (WHERE is_in_page) AS key,
                coalesce(count(*) >= step.rows_left OR NOT bool_and(is_in_page), false) AS is_cut,
                string_agg(CASE
                    WHEN session_id = '' THEN '{"ns":"' || next.name || '","ttlSecond":' || ttl || '}'
                    WHEN name = '' THEN '{"ns":"' || next.name || '","session":' || to_json(session_id)
                        || ',"ttlSecond":' || ttl || '}'
                    WHEN expires_at > now() THEN
                        '{"ns":"' || next.name || '","session":' || to_json(session_id)
                        || ',"name":' || to_json(name) || ',"value":' || value
                        || ',"expiresAt":' || coalesce('"' || to_char(nullif(expires_at, 'infinity')
                            AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null')
                        || ',"updatedAt":' || coalesce('"' || to_char(updated_at
                            AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || '}'
                    END, E'\\n' ORDER BY session_id, name) FILTER (WHERE is_in_page) AS lines
            FROM (
                SELECT *, coalesce(sum(size) OVER (
                    ORDER BY session_id, name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), 0) <= step.characters_left AS is_in_page
                FROM (
                    SELECT '' COLLATE "C" AS session_id, '' COLLATE "C" AS name, next.ttl_seconds AS ttl,
                        NULL::json AS value, 0 AS size,
                        NULL::timestamptz AS expires_at, NULL::timestamptz AS updated_at
                    WHERE NOT next.is_resumed
                    UNION ALL (
                        SELECT s.session_id, '', s.ttl_seconds, NULL, 0, NULL, NULL FROM session_ttl s
                        WHERE s.account = $1 AND s.namespace_id = next.id
                            AND s.session_id > start.session_id
                        ORDER BY s.session_id LIMIT step.rows_left
                    ) UNION ALL (
                        SELECT p.session_id, p.name, NULL, p.value, p.size, p.expires_at, p.updated_at
                        FROM property p
                        WHERE p.account = $1 AND p.namespace_id = next.id
                            AND (p.session_id, p.name) > (start.session_id, start.name)
                        ORDER BY p.session_id, p.name LIMIT step.rows_left
                    )
                    ORDER BY session_id, name LIMIT step.rows_left
                ) AS found
            ) AS row
        ) AS part
        WHERE NOT step.is_cut AND ($3::text IS NULL OR step.ns IS NULL)
    )
    SELECT string_agg(lines, E'\\n' ORDER BY ns), max(ns), max(key) FILTER (WHERE is_cut), bool_or(is_cut)
    FROM step
    """,
)

# As EXPORT, for one session. $1 account, $2 namespace, $3 session id, $4 the name after which to begin, NULL for the
# session's TTL, $5 the maximum number of rows, $6 PAGE_CHARACTERS. Returns the lines, the name of the last row, and
# whether the page was cut.
EXPORT_SESSION = Statement.of(
    "export_session",
    """
    WITH target AS MATERIALIZED (
        SELECT id FROM namespace WHERE account = $1 AND name = $2
    ), found AS MATERIALIZED (
        SELECT '' COLLATE "C" AS name, s.ttl_seconds AS ttl, NULL::json AS value, 0 AS size,
            NULL::timestamptz AS expires_at, NULL::timestamptz AS updated_at
        FROM session_ttl s
        WHERE s.account = $1 AND s.namespace_id = (SELECT id FROM target) AND s.session_id = $3
            AND $4::text IS NULL
        UNION ALL (
            SELECT p.name, NULL, p.value, p.size, p.expires_at, p.updated_at FROM property p
            WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM target) AND p.session_id = $3
                AND p.name > coalesce($4, '')
            ORDER BY p.name LIMIT $5::bigint
        )
        ORDER BY name LIMIT $5::bigint
    ), row AS (
        SELECT *, coalesce(sum(size) OVER (
            ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) <= $6::bigint AS is_in_page
        FROM found
    )
    SELECT string_agg(CASE
            WHEN name = '' THEN '{"ns":"' || $2 || '","session":' || to_json($3::text)
                || ',"ttlSecond":' || ttl || '}'
            WHEN expires_at > now() THEN '{"ns":"' || $2 || '","session":' || to_json($3::text)
                || ',"name":' || to_json(name) || ',"value":' || value
                || ',"expiresAt":' || coalesce('"' || to_char(nullif(expires_at, 'infinity')
                    AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null')
                || ',"updatedAt":' || coalesce('"' || to_char(updated_at
                    AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"', 'null') || '}'
            END, E'\\n' ORDER BY name) FILTER (WHERE is_in_page),
        max(name) FILTER (WHERE is_in_page),
        coalesce(count(*) >= $5::bigint OR NOT bool_and(is_in_page), false)
    FROM row
    """,
)


class Position(NamedTuple):
    """Where a page begins: after this row. The session id of a namespace is empty, and the name of a session's TTL."""

    namespace: str = ""
    session_id: str = ""
    name: str = ""


class Export(NamedTuple):
    """What to export.

    Attributes:
        account: the account.
        allowed: the namespaces that may be exported, None for all; a `*` at the end of one stands for any characters.
        namespace: the only namespace to export, if it is one.
        session_id: the only session of that namespace, if it is one.
    """

    account: str
    allowed: Sequence[str] | None = None
    namespace: str | None = None
    session_id: str | None = None


class Page(NamedTuple):
    """A part of an export.

    Attributes:
        lines: JSON texts, each on a line of its own, without a newline at the end.
        last: where the next page begins; None if this is the last one.
    """

    lines: bytes
    last: Position | None


def export_page(
    database: Database, wanted: Export, *, after: Position | None = None, limit: int
) -> Page:
    """Returns the lines of at most `limit` rows that follow `after`, in the order of their positions.

    Expired properties are rows without a line. So the page may be short, or empty, although lines follow.
    """
    if wanted.session_id is not None:
        return _export_session(database, wanted, after, limit)
    allowed = wanted.allowed
    result = database.execute(
        EXPORT,
        wanted.account.encode(),
        None if allowed is None else array_parameter(name.encode() for name in allowed),
        _optional(wanted.namespace),
        *(part.encode() for part in after or Position()),
        b"%d" % limit,
        b"%d" % PAGE_CHARACTERS,
    )
    lines, namespace, key, is_cut = (result.get_value(0, column) for column in range(4))
    if is_cut != b"t":
        return Page(lines or b"", None)
    session_id, _, name = (key or b"").decode().partition("\x01")
    return Page(lines or b"", Position((namespace or b"").decode(), session_id, name))


def _export_session(database: Database, wanted: Export, after: Position | None, limit: int) -> Page:
    assert wanted.namespace is not None  # noqa: S101 - for the type checkers
    assert wanted.session_id is not None  # noqa: S101 - as above
    result = database.execute(
        EXPORT_SESSION,
        wanted.account.encode(),
        wanted.namespace.encode(),
        wanted.session_id.encode(),
        _optional(after.name if after else None),
        b"%d" % limit,
        b"%d" % PAGE_CHARACTERS,
    )
    lines, name, is_cut = (result.get_value(0, column) for column in range(3))
    if is_cut != b"t":
        return Page(lines or b"", None)
    return Page(lines or b"", Position(wanted.namespace, wanted.session_id, (name or b"").decode()))


def _optional(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
