"""Estimates how many rows a job will examine, as the planner does: from statistics, without reading them."""

from msgspec.json import decode

from ccs_server.store.connection import LibpqConnection, Statement

ESTIMATE_PROPERTIES = Statement.of(
    "job_estimate_properties",
    "EXPLAIN (FORMAT JSON) SELECT 1 AS one FROM property WHERE account = $1",
)
ESTIMATE_CHANGES = Statement.of(
    "job_estimate_changes", "EXPLAIN (FORMAT JSON) SELECT 1 AS one FROM change WHERE account = $1"
)
ESTIMATE_NAMESPACE = Statement.of(
    "job_estimate_namespace",
    """EXPLAIN (FORMAT JSON) SELECT 1 AS one FROM property
    WHERE account = $1 AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
    """,
)
ESTIMATE_SESSIONS = Statement.of(
    "job_estimate_sessions",
    """EXPLAIN (FORMAT JSON) SELECT DISTINCT session_id FROM property
    WHERE account = $1 AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
    """,
)


def estimate(connection: LibpqConnection, account: str) -> int:
    """Returns about how many properties and changes an account has."""
    statements = ESTIMATE_PROPERTIES, ESTIMATE_CHANGES
    return sum(_rows(connection, statement, account.encode()) for statement in statements)


def estimate_namespace(connection: LibpqConnection, account: str, namespace: str) -> int:
    """Returns about how many properties a namespace has."""
    return _rows(connection, ESTIMATE_NAMESPACE, account.encode(), namespace.encode())


def estimate_sessions(connection: LibpqConnection, account: str, namespace: str) -> int:
    """Returns about how many sessions a namespace has."""
    return _rows(connection, ESTIMATE_SESSIONS, account.encode(), namespace.encode())


def _rows(connection: LibpqConnection, statement: Statement, *params: bytes) -> int:
    plan = connection.execute(statement, params).get_value(0, 0)
    rows: int = decode(plan or b"")[0]["Plan"]["Plan Rows"]
    return rows
