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


def estimate(connection: LibpqConnection, account: str) -> int:
    """Returns about how many properties and changes an account has."""
    plans = (
        connection.execute(statement, (account.encode(),))
        for statement in (ESTIMATE_PROPERTIES, ESTIMATE_CHANGES)
    )
    return sum(decode(plan.get_value(0, 0) or b"")[0]["Plan"]["Plan Rows"] for plan in plans)
