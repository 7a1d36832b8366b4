"""Saving properties: all of a request or nothing, in one statement where nothing stands in the way."""

from ccs_server.domain.errors import TooLarge
from ccs_server.store.database import Database
from ccs_server.store.document import LOCK_KEY, Document, alone
from ccs_server.store.namespaces import bring_into_being
from ccs_server.store.wire import Statement

DOCUMENT_LIMIT = 800_000
"""Characters that a document may have as one compact JSON object (contract, section 1)."""

# A save beside others may take this part of the room that is left: so the limit holds even when as many as this
# pass the check at once. Alone it may take the whole.
_SHARED_PART = 64
_WHOLE = 1

_TARGET = f"""
    SELECT n.id, coalesce((
        SELECT s.ttl_seconds FROM session_ttl s
        WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
    ), n.ttl_seconds) AS ttl
    FROM namespace n
    WHERE n.account = $1 AND n.name = $2 AND {{lock}}({LOCK_KEY})
"""

_GIVEN = """
    SELECT key COLLATE "C" AS name, value,
        char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
    FROM json_each($4)
"""

_UPSERT = """
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
    SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity')
    FROM place, given
    -- Rows are locked in this order by every save, so two of them never wait for each other in a ring.
    ORDER BY name
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        -- The purge looks again at what has not expired by then.
        purge_at = least(property.purge_at, excluded.purge_at)
"""

_V1 = {
    "lock": "pg_try_advisory_xact_lock_shared",
    "expires_at": """CASE ttl WHEN 0 THEN 'infinity'::timestamptz
        ELSE now() + ttl * interval '1 second' END""",
    "stamp": "",
}

# v2: all properties of the document expire at once, and never later than the maximum retention. It updates rows in
# an order of its own, so it takes the lock alone: beside another save that could be a deadlock.
_V2 = {
    "lock": "pg_try_advisory_xact_lock",
    "expires_at": """now() + interval '1 second' * least($7::bigint,
        coalesce(nullif($6::bigint, 0), nullif(ttl, 0), $7::bigint))""",
    "stamp": """, stamped AS (
        UPDATE property p
        SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.expires_at)
        FROM place
        WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
            AND p.expires_at > now() AND p.name NOT IN (SELECT name FROM given)
    )""",
}

# Saves nothing where the namespace does not exist, the lock is taken, or the room may not be enough: what is replaced
# counts as if it were kept. A save costs the database a tenth less so than by the statement below, which knows.
SAVE = Statement.of(
    "save",
    f"""WITH target AS MATERIALIZED ({_TARGET}), place AS MATERIALIZED (
        SELECT id, {{expires_at}} AS expires_at FROM target
        WHERE {_SHARED_PART} * char_length($4::json::text) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > now()
        ) < {DOCUMENT_LIMIT}
    ), given AS ({_GIVEN}) {_UPSERT}""".format(**_V1),
)

# Gives a row that says whether it has saved: it has not where there is not room enough. It gives none, and has saved
# nothing, where the namespace does not exist or the lock is taken.
_SAVE_AND_TELL = f"""
    WITH target AS MATERIALIZED ({_TARGET}), given AS MATERIALIZED ({_GIVEN}), kept AS (
        SELECT coalesce(sum(p.size), 0) AS size
        FROM target JOIN property p
            ON p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
            AND p.expires_at > now() AND p.name NOT IN (SELECT name FROM given)
    ), place AS MATERIALIZED (
        SELECT id, {{expires_at}} AS expires_at
        FROM target, kept, (SELECT coalesce(sum(size), 0) AS size FROM given) AS new
        WHERE kept.size + new.size * $5::integer < {DOCUMENT_LIMIT}
    ), saved AS ({_UPSERT}){{stamp}}
    SELECT place.id IS NOT NULL FROM target LEFT JOIN place ON true
"""

_SAVED = b"t"

_SAVE_ALONE = Statement.of("save_alone", _SAVE_AND_TELL.format(**_V1))

SAVE_DOCUMENT = Statement.of("save_document", _SAVE_AND_TELL.format(**_V2))


def save(database: Database, document: Document, properties: bytes) -> None:
    """Upserts each member of the JSON object `properties`, at least one, with the TTL in force.

    Raises:
        TooLarge: the document would grow over its limit; nothing is saved.
        LimitReached: its namespace is new, and the account has as many as it may have.
    """
    if not database.execute(SAVE, *document.params(), properties).command_tuples:
        _save_alone(database, document, _SAVE_ALONE, properties)


def save_document(
    database: Database, document: Document, properties: bytes, *, ttl: int, max_retention: int
) -> None:
    """Upserts each member, and gives every property of the document the same new expiry.

    Args:
        database: where to save.
        document: what to save into.
        properties: a JSON object.
        ttl: seconds from now; 0 for the TTL in force or, if that is forever, `max_retention`.
        max_retention: seconds from now at the most.

    Raises:
        TooLarge: the document would grow over its limit; nothing is saved.
        LimitReached: its namespace is new, and the account has as many as it may have.
    """
    times = b"%d" % ttl, b"%d" % max_retention
    shared = database.execute(
        SAVE_DOCUMENT, *document.params(), properties, b"%d" % _SHARED_PART, *times
    )
    if not (shared.ntuples and shared.get_value(0, 0) == _SAVED):
        _save_alone(database, document, SAVE_DOCUMENT, properties, *times)


def _save_alone(
    database: Database, document: Document, statement: Statement, properties: bytes, *times: bytes
) -> None:
    params = (*document.params(), properties, b"%d" % _WHOLE, *times)
    with alone(database, document) as wire:
        while True:
            bring_into_being(wire, document, database.settings.namespace_limit)
            result = wire.execute(statement, params)
            # No row: the namespace was there, and somebody deleted it between the two statements.
            if result.ntuples:
                break
        if result.get_value(0, 0) != _SAVED:
            raise TooLarge("document too large")
