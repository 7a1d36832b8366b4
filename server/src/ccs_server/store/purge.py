"""The purge: deletes rows that are no longer visible to any reader, in small batches.

The purge skips locked rows and leaves them for its next run. So it cannot cause a deadlock, it delays a writer by one
batch at most, and several instances may purge at once. It pauses after each batch, so that it uses only a small part of
the database's time.

Its cost depends on the number of rows to delete, not on the number stored. It examines a row once the row's `purge_at`
has passed; a row that never expires has none. If the row has been saved again with a later expiry, the purge sets
`purge_at` to that expiry. So a save need not update `purge_at` and its index, and a row is postponed at most once in
its time to live, however often it is saved.
"""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import NamedTuple

from ccs_server.store.audit import PURGE_AUDIT
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

BATCH = 500
"""The number of rows that one statement examines: some milliseconds of CPU time, which may delay a request."""

_REST = 3.0
"""Seconds of pause for each second of work."""

_NEVER_STOPPED = Event()

# Each statement processes a batch of $1 rows, and returns the number of rows examined and the number deleted.

# A row that is saved again while the statement runs is left for the next run, because the statement matches rows by
# their version (ctid).
PURGE_EXPIRED = Statement.of(
    "purge_expired",
    """WITH due AS MATERIALIZED (
        SELECT ctid, expires_at <= now() AS has_expired FROM property
        WHERE purge_at <= now()
        ORDER BY purge_at LIMIT $1::bigint
        FOR UPDATE SKIP LOCKED
    ), put_off AS (
        UPDATE property SET purge_at = nullif(expires_at, 'infinity')
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM due WHERE NOT has_expired))
    ), deleted AS (
        DELETE FROM property WHERE ctid = ANY (ARRAY(SELECT ctid FROM due WHERE has_expired))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM deleted)""",
)


DELETE_PROPERTIES = Statement.of(
    "purge_properties_of_deleted_namespaces",
    """
    WITH deleted AS (
        DELETE FROM property WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM deleted_namespace d
            CROSS JOIN LATERAL (
                SELECT ctid FROM property
                WHERE account = d.account AND namespace_id = d.namespace_id
                LIMIT $1::bigint
                FOR UPDATE SKIP LOCKED
            ) AS r
            LIMIT $1::bigint
        ))
        RETURNING 1
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

DELETE_SESSION_TTLS = Statement.of(
    "purge_session_ttls_of_deleted_namespaces",
    """
    WITH deleted AS (
        DELETE FROM session_ttl WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM deleted_namespace d
            CROSS JOIN LATERAL (
                SELECT ctid FROM session_ttl
                WHERE account = d.account AND namespace_id = d.namespace_id
                LIMIT $1::bigint
                FOR UPDATE SKIP LOCKED
            ) AS r
            LIMIT $1::bigint
        ))
        RETURNING 1
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

# A save that found the namespace before it was deleted may commit a row later. No statement runs as long as this
# interval.
FORGET_NAMESPACES = Statement.of(
    "purge_deleted_namespaces",
    """
    WITH deleted AS (
        DELETE FROM deleted_namespace WHERE (account, namespace_id) IN (
            SELECT account, namespace_id FROM deleted_namespace d
            WHERE deleted_at < now() - interval '10 minutes'
            AND NOT EXISTS (SELECT FROM property p
                WHERE p.account = d.account AND p.namespace_id = d.namespace_id)
            AND NOT EXISTS (SELECT FROM session_ttl s
                WHERE s.account = d.account AND s.namespace_id = d.namespace_id)
            LIMIT $1::bigint
            FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

# A lease is kept for a day after its end, so that the fence of the next one is larger (`store/tables.py`).
PURGE_LEASES = Statement.of(
    "purge_leases",
    """WITH due AS MATERIALIZED (
        SELECT ctid, expires_at <= now() - interval '1 day' AS is_old FROM lease
        WHERE purge_at <= now()
        ORDER BY purge_at LIMIT $1::bigint
        FOR UPDATE SKIP LOCKED
    ), put_off AS (
        UPDATE lease SET purge_at = expires_at + interval '1 day'
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM due WHERE NOT is_old))
    ), deleted AS (
        DELETE FROM lease WHERE ctid = ANY (ARRAY(SELECT ctid FROM due WHERE is_old))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM deleted)""",
)

PURGE_RESPONSES = Statement.of(
    "purge_idempotent_responses",
    """WITH deleted AS (
        DELETE FROM idempotent_response WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotent_response
            WHERE created_at <= now() - interval '24 hours'
            ORDER BY created_at LIMIT $1::bigint
            FOR UPDATE SKIP LOCKED
        )) RETURNING 1
    )
    SELECT count(*), count(*) FROM deleted""",
)


class Purged(NamedTuple):
    """The number of rows that a purge has deleted, by kind."""

    properties: int
    session_ttls: int
    namespaces: int
    audit_lines: int
    leases: int
    responses: int


def purge(
    database: Database, *, batch: int = BATCH, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> Purged:
    """Deletes expired properties, the data of deleted namespaces, and old audit lines, leases and stored responses.

    Returns when nothing is left to delete, or when `wait` returns True.

    Args:
        database: the database to delete from.
        batch: the number of rows that one statement examines.
        wait: waits for the given number of seconds; returns True, possibly early, to stop the purge.

    Raises:
        Unavailable: the database cannot be used now; completed batches stay deleted.
    """

    def drain(statement: Statement, *params: bytes) -> int:
        total, rest = 0, 0.0
        while not wait(rest):
            began = monotonic()
            result = database.execute(statement, b"%d" % batch, *params)
            looked_at, deleted = (int(result.get_value(0, column) or 0) for column in (0, 1))
            total += deleted
            if looked_at < batch:
                break
            rest = _REST * (monotonic() - began)
        return total

    return Purged(
        properties=drain(PURGE_EXPIRED) + drain(DELETE_PROPERTIES),
        session_ttls=drain(DELETE_SESSION_TTLS),
        namespaces=drain(FORGET_NAMESPACES),
        audit_lines=drain(PURGE_AUDIT, b"%d" % database.settings.audit_retention),
        leases=drain(PURGE_LEASES),
        responses=drain(PURGE_RESPONSES),
    )
