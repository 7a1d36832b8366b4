"""The sequencer: brings committed events into the change log of their account.

Writers add events to `change_new` in their own statements (`logged`), numbered while they hold the property's row. A
sequencer locks the head of an account's log, then moves every event that it sees to the end of the log, in the order
of the numbers. So positions are dense and are committed in their order: who has read up to one misses nothing before.
Any number of instances may run a sequencer; they take turns at the lock.

An event is seen as soon as its transaction is committed. If two events are of one property, the second one's writer
held the row only after the first one's transaction had ended; a snapshot that has the second has the first too, and
its number is lower.
"""

from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.database import Database

BATCH = 2000
"""The number of events that are moved in one transaction."""

_LOGS = Statement.of("sequencer_logs", "SELECT 1 FROM change_head LIMIT 1")

FIND_ACCOUNTS = Statement.of(
    "sequencer_find_accounts", "SELECT DISTINCT account FROM change_new ORDER BY account"
)

# A statement of its own, so that the next one's snapshot is taken when the lock is held.
LOCK_HEAD = Statement.of(
    "sequencer_lock_head", "SELECT pos FROM change_head WHERE account = $1 FOR UPDATE"
)

# $1 account, $2 BATCH. Returns the number of events that were taken from the queue.
#
# The deletion of a namespace comes after all events of the namespace that are seen with it. A namespace that is not
# there now was deleted, and its deletion is among the events that are seen, or has its place in the log already; what
# ended later than the deletion cannot be read by any client, and is dropped.
#
# Citus executes each CTE by itself, so `taken` may see more than `first`. Therefore `deleted` says which deletions are
# among the events, and `gone` only which namespaces to search for further ones.
SEQUENCE = Statement.of(
    "sequencer_sequence",
    """
    WITH first AS MATERIALIZED (
        SELECT c.n, c.namespace_id, c.type FROM change_new c
        WHERE c.account = $1
        ORDER BY c.n LIMIT $2::bigint
    ), gone AS MATERIALIZED (
        SELECT namespace_id FROM first WHERE type = 'namespace.deleted'
    ), taken AS (
        DELETE FROM change_new c
        WHERE c.account = $1 AND (c.n <= (SELECT max(n) FROM first)
            OR (EXISTS (SELECT 1 FROM gone) AND c.namespace_id IN (SELECT namespace_id FROM gone)))
        RETURNING c.*
    ), alive AS MATERIALIZED (
        SELECT id FROM (SELECT DISTINCT namespace_id FROM taken) AS t CROSS JOIN LATERAL (
            SELECT n.id FROM namespace n WHERE n.account = $1 AND n.id = t.namespace_id
        ) AS n
    ), deleted AS MATERIALIZED (
        SELECT namespace_id, n FROM taken WHERE type = 'namespace.deleted'
    ), placed AS (
        SELECT t.*, row_number() OVER (
            ORDER BY least(t.n, deleted.n), t.type = 'namespace.deleted', t.n) AS place
        FROM taken t LEFT JOIN deleted ON deleted.namespace_id = t.namespace_id
        WHERE deleted.namespace_id IS NOT NULL OR t.namespace_id IN (SELECT id FROM alive)
    ), moved AS (
        INSERT INTO change (account, pos, ns, session_id, name, type, made_at, value, size, etag, expires_at, actor,
            erasure, kept_until)
        SELECT $1, h.pos + p.place, p.ns, p.session_id, p.name, p.type, p.made_at, p.value, p.size, p.etag,
            p.expires_at, p.actor, p.erasure, now() + p.keep_seconds * interval '1 second'
        FROM (SELECT pos FROM change_head WHERE account = $1) AS h, placed p
        RETURNING 1 AS one
    ), advanced AS (
        UPDATE change_head SET pos = pos + (SELECT count(*) FROM moved) WHERE account = $1
    )
    SELECT count(*) FROM taken
    """,
)


def is_needed(database: Database) -> bool:
    """Whether some account has ever logged changes."""
    return bool(database.execute(_LOGS).ntuples)


def sequence(database: Database) -> int:
    """Brings the events that are committed now into the logs of their accounts; returns how many they were.

    Raises:
        Unavailable: the database cannot be used now; what was not committed stays in the queue.
    """
    total = 0
    accounts = database.execute(FIND_ACCOUNTS)
    for row in range(accounts.ntuples):
        account = accounts.get_value(row, 0) or b""
        taken = BATCH
        while taken >= BATCH:
            _, result = database.pipeline(
                (LOCK_HEAD, (account,)), (SEQUENCE, (account, b"%d" % BATCH))
            )
            taken = int(result.get_value(0, 0) or 0)
            total += taken
    return total


def sequence_within(connection: LibpqConnection, account: str) -> int:
    """Brings the committed events of an account into its log, and keeps the log from others until the transaction ends.

    Returns the end of the log; 0 if the account has never logged changes.
    """
    params = (account.encode(),)
    if not connection.execute(LOCK_HEAD, params).ntuples:
        return 0
    taken = BATCH
    while taken >= BATCH:
        result = connection.execute(SEQUENCE, (*params, b"%d" % BATCH))
        taken = int(result.get_value(0, 0) or 0)
    return int(connection.execute(LOCK_HEAD, params).get_value(0, 0) or 0)
