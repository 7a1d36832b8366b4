"""The purge: deletes rows that are no longer visible to any reader, in small batches.

The purge skips locked rows and leaves them for its next run. So it cannot cause a deadlock, it delays a writer by one
batch at most, and several instances may purge at once. It pauses after each batch, so that it uses only a small part of
the database's time.

Its cost depends on the number of rows to delete, not on the number stored. It examines a row once the row's `purge_at`
has passed; a row that never expires has none. If the row has been saved again with a later expiry, the purge sets
`purge_at` to that expiry. So a save need not update `purge_at` and its index, and a row is postponed at most once in
its time to live, however often it is saved.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from time import monotonic
from typing import NamedTuple

from ccs_server.store.connection import Statement, array_parameter
from ccs_server.store.database import Database

BATCH = 500
"""The number of rows that one statement examines: some milliseconds of CPU time, which may delay a request."""

_REST = 3.0
"""Seconds of pause for each second of work."""

_NEVER_STOPPED = Event()

# Old rows of all accounts are found by their time, with an index. They are then deleted account by account, because the
# database may be partitioned or distributed by account. A row's `ctid` says where it is in its partition, and is only a
# hint: the second statement also checks what the first one looked for, so it never touches a row that has taken the
# place of another. It skips rows that are locked, or that were saved again in the meantime.
#
# Rows that are to be deleted are joined by `ctid` with few rows, as the planner sees it: it takes `due.account = $1`,
# which always holds, for rare. So it fetches each row by its place, and never searches all rows of the account for
# them, even if it knows nothing about the table yet.
#
# If a CTE inserts, Citus executes each CTE by itself, and a row might move between two of them. So it refuses a CTE
# that looks for the places that another one has found. In these statements, each CTE finds its places itself.


class Queue(NamedTuple):
    """How old rows of one table are purged.

    Attributes:
        find: returns `account` and `ctid` of the first $1 rows.
        purge: of account $1, processes the rows at the places $2; returns the number examined and the number deleted.
    """

    find: Statement
    purge: Statement


FIND_EXPIRED = Statement.of(
    "purge_find_expired",
    """
    SELECT account, ctid FROM property
    WHERE purge_at <= now()
    ORDER BY purge_at LIMIT $1::bigint
    """,
)

PURGE_EXPIRED = Statement.of(
    "purge_expired",
    """
    WITH put_off AS (
        WITH due AS MATERIALIZED (
            SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
                SELECT p.account, p.ctid AS place FROM property p
                WHERE p.account = $1 AND p.ctid = listed.place
                    AND p.purge_at <= now() AND p.expires_at > now()
                FOR UPDATE SKIP LOCKED
            ) AS old
        )
        UPDATE property p SET purge_at = nullif(p.expires_at, 'infinity') FROM due
        WHERE p.account = $1 AND p.ctid = due.place AND due.account = $1
        RETURNING 1 AS one
    ), deleted AS (
        WITH due AS MATERIALIZED (
            SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
                SELECT p.account, p.ctid AS place FROM property p
                WHERE p.account = $1 AND p.ctid = listed.place
                    AND p.purge_at <= now() AND p.expires_at <= now()
                FOR UPDATE SKIP LOCKED
            ) AS old
        )
        DELETE FROM property p USING due
        WHERE p.account = $1 AND p.ctid = due.place AND due.account = $1
        RETURNING p.namespace_id, p.session_id, p.name
    ), left_index AS (
        DELETE FROM search_entry e USING deleted
        WHERE e.account = $1 AND e.namespace_id = deleted.namespace_id AND e.session_id = deleted.session_id
            AND e.name = deleted.name
    ), logged AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, keep_seconds)
        SELECT $1, n.id, n.name, deleted.session_id, deleted.name, 'property.expired', now(),
            coalesce((n.settings->>'keepChanges')::integer, 604800)
        FROM deleted CROSS JOIN LATERAL (
            SELECT n.id, n.name, n.settings FROM namespace n
            WHERE n.account = $1 AND n.id = deleted.namespace_id AND n.features & 1 = 1
        ) AS n
    )
    SELECT (SELECT count(*) FROM put_off) + (SELECT count(*) FROM deleted),
        (SELECT count(*) FROM deleted)
    """,
)

PROPERTIES = Queue(FIND_EXPIRED, PURGE_EXPIRED)

# A lease is kept for a day after its end, so that the fence of the next one is larger (`store/tables.py`).
FIND_LEASES = Statement.of(
    "purge_find_leases",
    """
    SELECT account, ctid FROM lease
    WHERE purge_at <= now()
    ORDER BY purge_at LIMIT $1::bigint
    """,
)

PURGE_LEASES = Statement.of(
    "purge_leases",
    """
    WITH due AS MATERIALIZED (
        SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
            SELECT l.account, l.ctid AS place, l.expires_at + interval '1 day' AS keep_until
            FROM lease l
            WHERE l.account = $1 AND l.ctid = listed.place AND l.purge_at <= now()
            FOR UPDATE SKIP LOCKED
        ) AS old
    ), put_off AS (
        UPDATE lease l SET purge_at = due.keep_until FROM due
        WHERE l.account = $1 AND l.ctid = due.place AND due.account = $1 AND due.keep_until > now()
    ), deleted AS (
        DELETE FROM lease l USING due
        WHERE l.account = $1 AND l.ctid = due.place AND due.account = $1 AND due.keep_until <= now()
        RETURNING 1 AS one
    )
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM deleted)
    """,
)

LEASES = Queue(FIND_LEASES, PURGE_LEASES)

FIND_RESPONSES = Statement.of(
    "purge_find_responses",
    """
    SELECT account, ctid FROM idempotent_response
    WHERE created_at <= now() - interval '24 hours'
    ORDER BY created_at LIMIT $1::bigint
    """,
)

PURGE_RESPONSES = Statement.of(
    "purge_responses",
    """
    WITH due AS MATERIALIZED (
        SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
            SELECT r.account, r.ctid AS place FROM idempotent_response r
            WHERE r.account = $1 AND r.ctid = listed.place
                AND r.created_at <= now() - interval '24 hours'
            FOR UPDATE SKIP LOCKED
        ) AS old
    ), deleted AS (
        DELETE FROM idempotent_response r USING due
        WHERE r.account = $1 AND r.ctid = due.place AND due.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

RESPONSES = Queue(FIND_RESPONSES, PURGE_RESPONSES)

# $2 of the first statement and $3 of the second: the seconds that a line is kept.
FIND_AUDIT = Statement.of(
    "purge_find_audit_lines",
    """
    SELECT account, ctid FROM audit
    WHERE recorded_at < now() - make_interval(secs => $2::bigint)
    ORDER BY recorded_at LIMIT $1::bigint
    """,
)

PURGE_AUDIT = Statement.of(
    "purge_audit_lines",
    """
    WITH due AS MATERIALIZED (
        SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
            SELECT a.account, a.ctid AS place FROM audit a
            WHERE a.account = $1 AND a.ctid = listed.place
                AND a.recorded_at < now() - make_interval(secs => $3::bigint)
            FOR UPDATE SKIP LOCKED
        ) AS old
    ), deleted AS (
        DELETE FROM audit a USING due
        WHERE a.account = $1 AND a.ctid = due.place AND due.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

AUDIT_LINES = Queue(FIND_AUDIT, PURGE_AUDIT)

FIND_CHANGES = Statement.of(
    "purge_find_changes",
    """
    SELECT account, ctid FROM change
    WHERE kept_until <= now()
    ORDER BY kept_until LIMIT $1::bigint
    """,
)

# Readers that have not read as far as the floor of a namespace have missed what was deleted.
PURGE_CHANGES = Statement.of(
    "purge_changes",
    """
    WITH deleted AS (
        WITH due AS MATERIALIZED (
            SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
                SELECT c.account, c.ctid AS place FROM change c
                WHERE c.account = $1 AND c.ctid = listed.place AND c.kept_until <= now()
                FOR UPDATE SKIP LOCKED
            ) AS old
        )
        DELETE FROM change c USING due
        WHERE c.account = $1 AND c.ctid = due.place AND due.account = $1
        RETURNING c.ns, c.pos
    ), floors AS (
        INSERT INTO change_floor (account, ns, pos)
        SELECT $1, ns, max(pos) FROM deleted GROUP BY ns ORDER BY ns
        ON CONFLICT (account, ns) DO UPDATE SET pos = greatest(change_floor.pos, excluded.pos)
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

CHANGES = Queue(FIND_CHANGES, PURGE_CHANGES)

FIND_JOBS = Statement.of(
    "purge_find_jobs",
    """
    SELECT account, ctid FROM job
    WHERE purge_at <= now()
    ORDER BY purge_at LIMIT $1::bigint
    """,
)

PURGE_JOBS = Statement.of(
    "purge_jobs",
    """
    WITH due AS MATERIALIZED (
        SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
            SELECT j.account, j.ctid AS place FROM job j
            WHERE j.account = $1 AND j.ctid = listed.place AND j.purge_at <= now()
            FOR UPDATE SKIP LOCKED
        ) AS old
    ), deleted AS (
        DELETE FROM job j USING due
        WHERE j.account = $1 AND j.ctid = due.place AND due.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

JOBS = Queue(FIND_JOBS, PURGE_JOBS)

FIND_ACTIVITY = Statement.of(
    "purge_find_activity",
    """
    SELECT account, ctid FROM activity
    WHERE minute <= now() - interval '2 hours'
    ORDER BY minute LIMIT $1::bigint
    """,
)

PURGE_ACTIVITY = Statement.of(
    "purge_activity",
    """
    WITH due AS MATERIALIZED (
        SELECT old.* FROM unnest($2::tid[]) AS listed (place) CROSS JOIN LATERAL (
            SELECT a.account, a.ctid AS place FROM activity a
            WHERE a.account = $1 AND a.ctid = listed.place AND a.minute <= now() - interval '2 hours'
            FOR UPDATE SKIP LOCKED
        ) AS old
    ), deleted AS (
        DELETE FROM activity a USING due
        WHERE a.account = $1 AND a.ctid = due.place AND due.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*), count(*) FROM deleted
    """,
)

ACTIVITY = Queue(FIND_ACTIVITY, PURGE_ACTIVITY)

FIND_ACCOUNTS = Statement.of(
    "purge_find_accounts", "SELECT DISTINCT account FROM deleted_namespace ORDER BY account"
)

# The statements below are about account $1, and process a batch of $2 rows. They return the number of rows deleted.

DELETE_PROPERTIES = Statement.of(
    "purge_properties_of_deleted_namespaces",
    """
    WITH old AS MATERIALIZED (
        SELECT r.* FROM deleted_namespace d CROSS JOIN LATERAL (
            SELECT p.account, p.ctid AS place FROM property p
            WHERE p.account = $1 AND p.namespace_id = d.namespace_id
            LIMIT $2::bigint
            FOR UPDATE SKIP LOCKED
        ) AS r
        WHERE d.account = $1
        LIMIT $2::bigint
    ), deleted AS (
        DELETE FROM property p USING old
        WHERE p.account = $1 AND p.ctid = old.place AND old.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*) FROM deleted
    """,
)

DELETE_SESSION_TTLS = Statement.of(
    "purge_session_ttls_of_deleted_namespaces",
    """
    WITH old AS MATERIALIZED (
        SELECT r.* FROM deleted_namespace d CROSS JOIN LATERAL (
            SELECT s.account, s.ctid AS place FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = d.namespace_id
            LIMIT $2::bigint
            FOR UPDATE SKIP LOCKED
        ) AS r
        WHERE d.account = $1
        LIMIT $2::bigint
    ), deleted AS (
        DELETE FROM session_ttl s USING old
        WHERE s.account = $1 AND s.ctid = old.place AND old.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*) FROM deleted
    """,
)

DELETE_ENTRIES = Statement.of(
    "purge_search_entries_of_deleted_namespaces",
    """
    WITH old AS MATERIALIZED (
        SELECT r.* FROM deleted_namespace d CROSS JOIN LATERAL (
            SELECT e.account, e.ctid AS place FROM search_entry e
            WHERE e.account = $1 AND e.namespace_id = d.namespace_id
            LIMIT $2::bigint
            FOR UPDATE SKIP LOCKED
        ) AS r
        WHERE d.account = $1
        LIMIT $2::bigint
    ), deleted AS (
        DELETE FROM search_entry e USING old
        WHERE e.account = $1 AND e.ctid = old.place AND old.account = $1
        RETURNING 1 AS one
    )
    SELECT count(*) FROM deleted
    """,
)

# A save that found the namespace before it was deleted may commit a row later. No statement runs as long as this
# interval. With scalar subqueries instead of EXISTS, the planner cannot choose to read all of the account.
FORGET_NAMESPACES = Statement.of(
    "purge_deleted_namespaces",
    """
    WITH deleted AS (
        DELETE FROM deleted_namespace WHERE account = $1 AND namespace_id IN (
            SELECT d.namespace_id FROM deleted_namespace d
            WHERE d.account = $1 AND d.deleted_at < now() - interval '10 minutes'
            AND (SELECT 1 FROM property p
                WHERE p.account = $1 AND p.namespace_id = d.namespace_id LIMIT 1) IS NULL
            AND (SELECT 1 FROM session_ttl s
                WHERE s.account = $1 AND s.namespace_id = d.namespace_id LIMIT 1) IS NULL
            AND (SELECT 1 FROM search_entry e
                WHERE e.account = $1 AND e.namespace_id = d.namespace_id LIMIT 1) IS NULL
            LIMIT $2::bigint
            FOR UPDATE SKIP LOCKED
        )
        RETURNING 1 AS one
    )
    SELECT count(*) FROM deleted
    """,
)


class Purged(NamedTuple):
    """The number of rows that a purge has deleted, by kind."""

    properties: int
    session_ttls: int
    search_entries: int
    namespaces: int
    audit_lines: int
    leases: int
    responses: int
    changes: int
    jobs: int
    activity: int


def purge(
    database: Database, *, batch: int = BATCH, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> Purged:
    """Deletes expired properties, the data of deleted namespaces, and what is old: audit lines, leases and so on.

    Returns when nothing is left to delete, or when `wait` returns True.

    Args:
        database: the database to delete from.
        batch: the number of rows that one statement examines.
        wait: waits for the given number of seconds; returns True, possibly early, to stop the purge.

    Raises:
        Unavailable: the database cannot be used now; completed batches stay deleted.
    """
    run = _Run(database, batch, wait)
    return Purged(
        properties=run.drain(PROPERTIES) + run.empty(DELETE_PROPERTIES),
        session_ttls=run.empty(DELETE_SESSION_TTLS),
        search_entries=run.empty(DELETE_ENTRIES),
        namespaces=run.empty(FORGET_NAMESPACES),
        audit_lines=run.drain(AUDIT_LINES, b"%d" % database.settings.audit_retention),
        leases=run.drain(LEASES),
        responses=run.drain(RESPONSES),
        changes=run.drain(CHANGES),
        jobs=run.drain(JOBS),
        activity=run.drain(ACTIVITY),
    )


class _Run:
    """A purge. It pauses between batches, and ends once `wait` has returned True."""

    def __init__(self, database: Database, batch: int, wait: Callable[[float], bool]) -> None:
        self._database = database
        self._batch = batch
        self._wait = wait

    def drain(self, queue: Queue, *params: bytes) -> int:
        """Purges the rows of a queue; returns the number deleted.

        It leaves the rest to the next run once all rows of a batch are locked, for example by another purge.
        """
        return self._repeat(lambda: self._drain_batch(queue, params))

    def _drain_batch(self, queue: Queue, params: Sequence[bytes]) -> tuple[int, bool]:
        found = self._database.execute(queue.find, b"%d" % self._batch, *params)
        places: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for row in range(found.ntuples):
            account, place = (found.get_value(row, column) or b"" for column in range(2))
            places[account].append(b'"%s"' % place)
        steps = [
            (queue.purge, (account, array_parameter(each), *params))
            for account, each in places.items()
        ]
        results = self._database.pipeline(*steps) if steps else []
        examined, deleted = (
            sum(int(result.get_value(0, column) or 0) for result in results) for column in (0, 1)
        )
        return deleted, found.ntuples == self._batch and examined > 0

    def empty(self, statement: Statement) -> int:
        """Executes a statement about deleted namespaces for each account that has some; returns the number deleted."""
        accounts = self._database.execute(FIND_ACCOUNTS)
        return sum(
            self._repeat(partial(self._empty_batch, statement, accounts.get_value(row, 0) or b""))
            for row in range(accounts.ntuples)
        )

    def _empty_batch(self, statement: Statement, account: bytes) -> tuple[int, bool]:
        result = self._database.execute(statement, account, b"%d" % self._batch)
        deleted = int(result.get_value(0, 0) or 0)
        return deleted, deleted == self._batch

    def _repeat(self, process: Callable[[], tuple[int, bool]]) -> int:
        """Processes batches until one says that nothing follows; returns the number of rows deleted."""
        total, rest, goes_on = 0, 0.0, True
        while goes_on and not self._wait(rest):
            began = monotonic()
            deleted, goes_on = process()
            total += deleted
            rest = _REST * (monotonic() - began)
        return total
