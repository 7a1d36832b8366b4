"""The namespaces of an account. One outlives its data: it is there until it is deleted."""

from ccs_server.domain.errors import LimitReached
from ccs_server.store import audit
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.wire import Statement, Wire

# Both return a row if the namespace exists or the account is under its limit, $3. The count is of an index's range, and
# only taken for a namespace that does not exist. Several made at the same moment may pass together: the limit is
# against growth without end.

_ENSURE = Statement.of(
    "ensure_namespace",
    """
    WITH allowed AS MATERIALIZED (
        SELECT WHERE EXISTS (SELECT FROM namespace WHERE account = $1 AND name = $2)
            OR (SELECT count(*) FROM namespace WHERE account = $1) < $3::bigint
    ), made AS (
        INSERT INTO namespace (account, name) SELECT $1, $2 FROM allowed ON CONFLICT DO NOTHING
    )
    SELECT FROM allowed
    """,
)

_REGISTER = Statement.of(
    "register_namespace",
    """
    WITH allowed AS MATERIALIZED (
        SELECT WHERE EXISTS (SELECT FROM namespace WHERE account = $1 AND name = $2)
            OR (SELECT count(*) FROM namespace WHERE account = $1) < $3::bigint
    ), made AS (
        INSERT INTO namespace (account, name, ttl_seconds)
        SELECT $1, $2, coalesce($4::integer, 0) FROM allowed
        ON CONFLICT (account, name) DO UPDATE SET ttl_seconds = excluded.ttl_seconds
        WHERE $4::integer IS NOT NULL
    )
    SELECT FROM allowed
    """,
)

_LIST = Statement.of(
    "list_namespaces",
    """SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
        'name', name,
        'createdAt', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'ttlSecond', nullif(ttl_seconds, 0)
    )) ORDER BY name), '[]')
    FROM namespace WHERE account = $1""",
)

# Its properties and TTLs can no longer be reached without the row; the purge deletes them in small batches.
_DELETE = Statement.of(
    "delete_namespace",
    """WITH gone AS (
        DELETE FROM namespace WHERE account = $1 AND name = $2 RETURNING *
    ), queued AS (
        INSERT INTO deleted_namespace (account, namespace_id) SELECT account, id FROM gone
    )
    INSERT INTO audit (account, action, subject, actor, details)
    SELECT account, 'namespace.deleted', name, $3, json_build_object(
        'namespace_id', id,
        'created_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    ) FROM gone""",
)


def ensure_namespace(wire: Wire, document: DocumentKey, limit: int) -> None:
    """Makes the document's namespace if it does not exist, as part of the transaction on `wire`.

    Raises:
        LimitReached: it does not, and the account has `limit` already.
    """
    account, name, _ = document.params()
    if not wire.execute(_ENSURE, (account, name, b"%d" % limit)).ntuples:
        raise _limit_reached(limit)


def register_namespace(database: Database, account: str, name: str, ttl: int | None) -> None:
    """Makes the namespace if it does not exist, and sets its TTL in seconds unless `ttl` is None.

    Raises:
        LimitReached: it does not exist, and the account has as many as it may have.
    """
    limit = database.settings.namespace_limit
    seconds = None if ttl is None else b"%d" % ttl
    params = account.encode(), name.encode(), b"%d" % limit, seconds
    if not database.execute(_REGISTER, *params).ntuples:
        raise _limit_reached(limit)


def list_namespaces(database: Database, account: str) -> bytes:
    """All namespaces by name, as a JSON array of `{"name","createdAt","ttlSecond"}`."""
    return database.execute(_LIST, account.encode()).get_value(0, 0) or b"[]"


def delete_namespace(database: Database, account: str, name: str, actor: str) -> None:
    """Deletes the namespace with all that is in it, at once and whole for every reader.

    Of a namespace that exists, the audit gets a line that names `actor`.
    """
    result = database.execute(_DELETE, account.encode(), name.encode(), actor.encode())
    if result.command_tuples:
        audit.log(audit.By(account, actor), audit.Action.NAMESPACE_DELETED, name)


def _limit_reached(limit: int) -> LimitReached:
    return LimitReached(
        f"The account has {limit} namespaces already; delete one that it does not need."
    )
