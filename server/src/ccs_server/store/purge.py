"""The purge: deletes rows that no reader can see any more, in small batches that wait for nobody.

A row that somebody else has locked is left for the next run, so the purge takes part in no deadlock and delays no
writer by more than a batch; any number of instances may purge at once. After each batch it rests, so that requests find
the database free most of the time.

What it costs depends on what there is to delete, not on what is stored: it looks at a row when the row's `purge_at` has
come, which is never for one that never expires. A row that was saved again since then, and lives longer, is put off
until it expires. So a save need not move `purge_at`, nor change its index, and a row is put off once in its time to
live at the most, however often it is saved.
"""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import NamedTuple

from ccs_server.store.audit import PURGE_AUDIT
from ccs_server.store.database import Database
from ccs_server.store.wire import Statement

BATCH = 500
"""Rows that one statement looks at: some milliseconds of a processor, for which a request may have to wait."""

_REST = 3.0
"""Seconds of rest for each second of work."""

_NEVER_STOPPED = Event()

# Each statement takes one batch of $1 rows, and returns how many it has looked at and how many of them it has deleted.

# A row that was saved again while the statement ran is left for the next run: its new version is not the statement's.
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

# A save that found the namespace before it was deleted may still be about to commit a row; no statement lives as long
# as this.
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


class Purged(NamedTuple):
    """How many rows a purge has deleted."""

    properties: int
    session_ttls: int
    namespaces: int
    audit_lines: int


def purge(
    database: Database, *, batch: int = BATCH, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> Purged:
    """Deletes what has expired, what deleted namespaces have left, and old lines of the audit.

    It ends when nothing is left, or when it is told to stop.

    Args:
        database: where to delete.
        batch: rows that one statement looks at.
        wait: rests for so many seconds, or until the purge shall stop, and says whether it shall.

    Raises:
        Unavailable: the database cannot be used now; what was deleted so far stays deleted.
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
    )
