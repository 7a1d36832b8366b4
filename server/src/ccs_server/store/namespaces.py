"""Creates, lists and deletes the namespaces of an account. A namespace exists until it is deleted, even if empty."""

from collections.abc import Sequence

from ccs_server.domain.errors import LimitReached
from ccs_server.store import audit
from ccs_server.store.connection import LibpqConnection, Statement, array_parameter
from ccs_server.store.database import Database

# Both statements return one row if the namespace exists or the account is under its limit, $3. The count scans a range
# of an index, and only for a namespace that does not exist. Concurrent creations may exceed the limit slightly, which
# is acceptable: its purpose is to prevent unbounded growth.

_ENSURE = Statement.of(
    "ensure_namespace",
    """
    WITH allowed AS MATERIALIZED (
        SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM namespace WHERE account = $1 AND name = $2)
            OR (SELECT count(*) FROM namespace WHERE account = $1) < $3::bigint
    ), made AS (
        INSERT INTO namespace (account, name) SELECT $1, $2 FROM allowed ON CONFLICT DO NOTHING
    )
    SELECT 1 AS one FROM allowed
    """,
)

_REGISTER = Statement.of(
    "register_namespace",
    """
    WITH allowed AS MATERIALIZED (
        SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM namespace WHERE account = $1 AND name = $2)
            OR (SELECT count(*) FROM namespace WHERE account = $1) < $3::bigint
    ), made AS (
        INSERT INTO namespace (account, name, ttl_seconds)
        SELECT $1, $2, coalesce($4::integer, 0) FROM allowed
        ON CONFLICT (account, name) DO UPDATE SET ttl_seconds = excluded.ttl_seconds
        WHERE $4::integer IS NOT NULL
    )
    SELECT 1 AS one FROM allowed
    """,
)

_LIST = Statement.of(
    "list_namespaces",
    """SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
        'name', name,
        'createdAt', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'ttlSecond', nullif(ttl_seconds, 0)
    )) ORDER BY name), '[]')
    FROM namespace WHERE account = $1 AND ($2::text[] IS NULL OR EXISTS (
        SELECT 1 FROM unnest($2::text[]) AS allowed
        WHERE name = allowed OR (right(allowed, 1) = '*' AND starts_with(name, left(allowed, -1)))
    ))""",
)

# Without this row, the namespace's properties and TTLs cannot be reached. The purge deletes them in small batches.
_DELETE = Statement.of(
    "delete_namespace",
    """WITH gone AS (
        DELETE FROM namespace WHERE account = $1 AND name = $2 RETURNING *
    ), queued AS (
        INSERT INTO deleted_namespace (account, namespace_id) SELECT account, id FROM gone
    ), logged AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, actor, keep_seconds)
        SELECT account, id, name, '', '', 'namespace.deleted', now(), $3,
            coalesce((settings->>'keepChanges')::integer, 604800)
        FROM gone WHERE features & 1 = 1
    )
    INSERT INTO audit (account, action, subject, actor, details)
    SELECT account, 'namespace.deleted', name, $3, json_build_object(
        'namespace_id', id,
        'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    ) FROM gone""",
)


def ensure_namespace(connection: LibpqConnection, account: str, namespace: str, limit: int) -> None:
    """Creates the namespace if it does not exist, in the transaction of `connection`.

    Raises:
        LimitReached: the namespace does not exist, and the account already has `limit` namespaces.
    """
    params = account.encode(), namespace.encode(), b"%d" % limit
    if not connection.execute(_ENSURE, params).ntuples:
        raise limit_reached(limit)


def register_namespace(database: Database, account: str, name: str, ttl: int | None) -> None:
    """Creates the namespace if it does not exist, and sets its TTL in seconds unless `ttl` is None.

    Raises:
        LimitReached: the namespace does not exist, and the account has the maximum number of namespaces.
    """
    limit = database.settings.namespace_limit
    seconds = None if ttl is None else b"%d" % ttl
    params = account.encode(), name.encode(), b"%d" % limit, seconds
    if not database.execute(_REGISTER, *params).ntuples:
        raise limit_reached(limit)


def list_namespaces(
    database: Database, account: str, allowed: Sequence[str] | None = None
) -> bytes:
    """Returns the namespaces, ordered by name, as a JSON array of `{"name","createdAt","ttlSecond"}`.

    Args:
        database: the database to read from.
        account: the account.
        allowed: lists these namespaces only, None for all; a `*` at the end of one stands for any characters.
    """
    names = None if allowed is None else array_parameter(name.encode() for name in allowed)
    return database.execute(_LIST, account.encode(), names).get_value(0, 0) or b"[]"


def delete_namespace(database: Database, account: str, name: str, actor: str) -> None:
    """Deletes the namespace with all its properties and TTLs, atomically and immediately for every reader.

    If the namespace existed, a line that names `actor` is added to the audit log.
    """
    result = database.execute(_DELETE, account.encode(), name.encode(), actor.encode())
    if result.command_tuples:
        audit.log(audit.By(account, actor), audit.Action.NAMESPACE_DELETED, name)


def limit_reached(limit: int) -> LimitReached:
    """The error for a namespace too many."""
    return LimitReached(
        f"The account has {limit} namespaces already; delete one that it does not need."
    )
