"""Takes away whole sessions, some rows at a time, under the lock of each one's document."""

from typing import NamedTuple

from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.document import LOCK

BATCH = 500
"""The number of rows that one statement deletes."""

FIND_NAMESPACE = Statement.of(
    "job_find_namespace", "SELECT name FROM namespace WHERE account = $1 AND id = $2::bigint"
)
FIND_NAMESPACE_CALLED = Statement.of(
    "job_find_namespace_called", "SELECT id FROM namespace WHERE account = $1 AND name = $2"
)

# The statements of jobs change what is of a namespace that may have been deleted, so they name it by its id. They say
# themselves what they log. An event that tells of an erasure has the job as its `erasure`, and stays a day.

# $1 account, $2 the id of the namespace, $3 session id, $4 BATCH, $5 the job if it is an erasure, or NULL, $6 actor.
# Returns the number of properties, and whether they are logged.
TAKE_PROPERTIES = Statement.of(
    "job_take_properties",
    """
    WITH log AS MATERIALIZED (
        SELECT n.id, n.name, coalesce((n.settings->>'keepChanges')::integer, 604800) AS keep
        FROM namespace n WHERE n.account = $1 AND n.id = $2::bigint AND n.features & 1 = 1
    ), deleted AS (
        DELETE FROM property p
        WHERE p.account = $1 AND p.namespace_id = $2::bigint AND p.session_id = $3 AND p.name = ANY (ARRAY(
            SELECT o.name FROM property o
            WHERE o.account = $1 AND o.namespace_id = $2::bigint AND o.session_id = $3
            ORDER BY o.name LIMIT $4::bigint
        ))
        RETURNING p.name, p.expires_at
    ), left_index AS (
        DELETE FROM search_entry e
        WHERE e.account = $1 AND e.namespace_id = $2::bigint AND e.session_id = $3
            AND e.name = ANY (ARRAY(SELECT deleted.name FROM deleted))
    ), logged AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, actor, keep_seconds, erasure)
        SELECT $1, log.id, log.name, $3, deleted.name,
            CASE WHEN deleted.expires_at > statement_timestamp() THEN 'property.deleted' ELSE 'property.expired' END,
            statement_timestamp(), nullif($6::text, ''),
            CASE WHEN $5::text IS NULL THEN log.keep ELSE least(log.keep, 86400) END, $5
        FROM log, deleted
    )
    SELECT (SELECT count(*) FROM deleted), EXISTS (SELECT 1 FROM log)
    """,
)

# $1 account, $2 the id of the namespace, $3 session id.
TAKE_TTL = Statement.of(
    "job_take_ttl",
    """
    DELETE FROM session_ttl s WHERE s.account = $1 AND s.namespace_id = $2::bigint AND s.session_id = $3
    """,
)
TAKE_LEASE = Statement.of(
    "job_take_lease",
    """
    DELETE FROM lease l WHERE l.account = $1 AND l.namespace_id = $2::bigint AND l.session_id = $3
    """,
)

# $1 account, $2 namespace, $3 session id, $4 BATCH. What tells of an erasure stays until its day is over.
TAKE_CHANGES = Statement.of(
    "job_take_changes",
    """
    DELETE FROM change c
    WHERE c.account = $1 AND c.pos = ANY (ARRAY(
        SELECT o.pos FROM change o
        WHERE o.account = $1 AND o.ns = $2 AND o.session_id = $3 AND o.erasure IS NULL
        LIMIT $4::bigint
    ))
    """,
)


# $1 account, $2 namespace id, $3 session id. Of a session: how many properties it has, and what the log has.
COUNT_SESSION = Statement.of(
    "job_count_session",
    """
    SELECT (SELECT count(*) FROM property p
            WHERE p.account = $1 AND p.namespace_id = $2::bigint AND p.session_id = $3),
        (SELECT count(*) FROM change c
            WHERE c.account = $1 AND c.ns = (SELECT n.name FROM namespace n WHERE n.account = $1 AND n.id = $2::bigint)
                AND c.session_id = $3 AND c.erasure IS NULL)
    """,
)


class Namespace(NamedTuple):
    """A namespace by its id; `name` is None once it was deleted."""

    id: int
    name: str | None

    @property
    def param(self) -> bytes:
        """Its id as a parameter."""
        return b"%d" % self.id


def find_namespace(connection: LibpqConnection, account: str, id_: int) -> Namespace:
    """Returns the namespace of this id, without a name if it was deleted."""
    found = connection.execute(FIND_NAMESPACE, (account.encode(), b"%d" % id_))
    name = found.get_value(0, 0) if found.ntuples else None
    return Namespace(id_, name.decode() if name is not None else None)


def find_namespace_called(connection: LibpqConnection, account: str, name: str) -> Namespace | None:
    """Returns the namespace of this name; None if there is none."""
    found = connection.execute(FIND_NAMESPACE_CALLED, (account.encode(), name.encode()))
    return Namespace(int(found.get_value(0, 0) or 0), name) if found.ntuples else None


def lock_session(
    connection: LibpqConnection, account: str, namespace: Namespace, session_id: str
) -> None:
    """Takes the document's lock until the transaction ends. What is left of a deleted namespace needs none."""
    if namespace.name is not None:
        params = account.encode(), namespace.name.encode(), session_id.encode()
        connection.execute(LOCK, params)
