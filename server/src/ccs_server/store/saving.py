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
_SHARED_PART = b"64"
_WHOLE = b"1"

_SAVE_V1 = {
    "lock": "pg_try_advisory_xact_lock_shared",
    "expires_at": """CASE target.ttl WHEN 0 THEN 'infinity'::timestamptz
        ELSE now() + target.ttl * interval '1 second' END""",
    "stamp": "",
}

# v2: all properties of the document expire at once, and never later than the maximum retention. It updates rows in
# an order of its own, so it takes the lock alone: beside another save that could be a deadlock.
_SAVE_V2 = {
    "lock": "pg_try_advisory_xact_lock",
    "expires_at": """now() + interval '1 second' * least($7::bigint,
        coalesce(nullif($6::bigint, 0), nullif(target.ttl, 0), $7::bigint))""",
    "stamp": """, stamped AS (
        UPDATE property p
        SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.purge_at)
        FROM place
        WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
            AND p.expires_at > now() AND p.name NOT IN (SELECT name FROM given)
    )""",
}

# Gives a row that says whether it has saved: it has not where there is not room enough. It gives none, and has saved
# nothing, where the namespace does not exist or the lock is taken.
_SAVE = """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND {lock}({lock_key})
    ), given AS MATERIALIZED (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    ), kept AS (
        SELECT coalesce(sum(p.size), 0) AS size
        FROM target JOIN property p
            ON p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
            AND p.expires_at > now() AND p.name NOT IN (SELECT name FROM given)
    ), place AS MATERIALIZED (
        SELECT id, expires_at, nullif(expires_at, 'infinity') AS purge_at
        FROM (SELECT target.id, {expires_at} AS expires_at FROM target) AS expiring,
            kept, (SELECT coalesce(sum(size), 0) AS size FROM given) AS new
        WHERE kept.size + new.size * $5::integer < {limit}
    ), saved AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
        SELECT $1, place.id, $3, name, value, size, expires_at, purge_at
        FROM place, given
        -- Rows are locked in this order by every save, so two of them never wait for each other in a ring.
        ORDER BY name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
            -- The purge looks again at what has not expired by then.
            purge_at = least(property.purge_at, excluded.purge_at)
    ){stamp}
    SELECT place.id IS NOT NULL FROM target LEFT JOIN place ON true
"""

_SAVED = b"t"

SAVE = Statement.of("save", _SAVE.format(**_SAVE_V1, lock_key=LOCK_KEY, limit=DOCUMENT_LIMIT))

SAVE_DOCUMENT = Statement.of(
    "save_document", _SAVE.format(**_SAVE_V2, lock_key=LOCK_KEY, limit=DOCUMENT_LIMIT)
)


def save(database: Database, document: Document, properties: bytes) -> None:
    """Upserts each member of the JSON object `properties`, with the TTL in force.

    Raises:
        TooLarge: the document would grow over its limit; nothing is saved.
        LimitReached: its namespace is new, and the account has as many as it may have.
    """
    _save(database, document, SAVE, properties)


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
    _save(database, document, SAVE_DOCUMENT, properties, b"%d" % ttl, b"%d" % max_retention)


def _save(
    database: Database, document: Document, statement: Statement, properties: bytes, *extra: bytes
) -> None:
    params = document.params()
    shared = database.execute(statement, *params, properties, _SHARED_PART, *extra)
    if shared.ntuples and shared.get_value(0, 0) == _SAVED:
        return
    with alone(database, document) as wire:
        while True:
            bring_into_being(wire, document, database.settings.namespace_limit)
            whole = wire.execute(statement, (*params, properties, _WHOLE, *extra))
            # No row: the namespace was there, and somebody deleted it between the two statements.
            if whole.ntuples:
                break
        if whole.get_value(0, 0) != _SAVED:
            raise TooLarge("document too large")
