"""The namespaces of an account. One outlives its data: it is there until it is deleted."""

from ccs_server.store.database import Database
from ccs_server.store.wire import Statement

_REGISTER = Statement.of(
    "register_namespace",
    """INSERT INTO namespace (account, name, ttl_seconds)
    VALUES ($1, $2, coalesce($3::integer, 0))
    ON CONFLICT (account, name) DO UPDATE SET ttl_seconds = excluded.ttl_seconds
    WHERE $3::integer IS NOT NULL""",
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
        DELETE FROM namespace WHERE account = $1 AND name = $2 RETURNING account, id
    )
    INSERT INTO deleted_namespace (account, namespace_id) SELECT account, id FROM gone""",
)


def register_namespace(database: Database, account: str, name: str, ttl: int | None) -> None:
    """Makes the namespace if it does not exist, and sets its TTL in seconds unless `ttl` is None."""
    seconds = None if ttl is None else b"%d" % ttl
    database.execute(_REGISTER, account.encode(), name.encode(), seconds)


def list_namespaces(database: Database, account: str) -> bytes:
    """All namespaces by name, as a JSON array of `{"name","createdAt","ttlSecond"}`."""
    return database.execute(_LIST, account.encode()).get_value(0, 0) or b"[]"


def delete_namespace(database: Database, account: str, name: str) -> None:
    """Deletes the namespace with all that is in it, at once and whole for every reader."""
    database.execute(_DELETE, account.encode(), name.encode())
