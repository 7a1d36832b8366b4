"""Every statement of the store reads only the index range that it needs, however full the tables are."""

import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from secrets import token_hex
from typing import Any

import pytest
from psycopg.pq import ExecStatus
from sqlalchemy import text

import ccs_server.store
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.logged import changes_properties, logged
from ccs_server.store.operations.base import unfenced
from ccs_server.store.saving import SAVE_ONE
from tests.support.databases import Cluster, create_migrated_database

# For each table, the leading columns that an index condition must compare with `=`.
RANGES = {
    "namespace": ["account"],
    "session_ttl": ["account", "namespace_id"],
    "property": ["account", "namespace_id"],
    "lease": ["account", "namespace_id", "session_id"],
    "idempotent_response": ["account", "credential", "key_hash"],
    "api_key": ["account"],
    "credential": ["account"],
    "change": ["account"],
    "change_new": ["account"],
    "change_floor": ["account"],
    "webhook": ["account", "id"],
    "webhook_secret": ["account", "webhook_id"],
    "job": ["account"],
    "search_entry": ["account", "namespace_id"],
    "activity": ["account"],
}
# Columns that identify a row by themselves.
KEYS = {
    "pk_api_key": "key_id",
    "pk_credential": "username",
    "pk_quota": "account",
    "pk_change_head": "account",
}
# A queue, which is read from its beginning.
QUEUES = {
    "ix_property_purge_at": "purge_at <= ",
    "ix_quota_due_at": "due_at <= ",
    "ix_lease_purge_at": "purge_at <= ",
    "ix_idempotent_response_created_at": "created_at <= ",
    "ix_audit_recorded_at_id": "recorded_at < ",
    "ix_change_kept_until": "kept_until <= ",
    "ix_webhook_due_at": "due_at <= ",
    "ix_job_due_at": "due_at <= ",
    "ix_job_purge_at": "purge_at <= ",
    "ix_activity_minute": "minute <= ",
}
# Statements that read all data of an account in steps; each step begins after the last row of the step before.
IN_STEPS = {
    ("quota_count_properties", "property"): "ROW(namespace_id, session_id, name) > ",
    ("quota_count_empty_sessions", "session_ttl"): "ROW(namespace_id, session_id) > ",
    ("activity_expiries", "property"): "ROW(namespace_id, session_id, name) > ",
    ("activity_totals", "property"): "ROW(namespace_id, session_id, name) > ",
    ("job_next_namespace", "property"): "(namespace_id > ",
    ("job_next_namespace", "session_ttl"): "(namespace_id > ",
    ("job_next_namespace", "lease"): "(namespace_id > ",
    ("job_scan_leases", "lease"): "(session_id > ",
    ("job_strip_responses", "idempotent_response"): "ROW(credential, key_hash) > ",
}
# Statements that must use one index of several that begin alike.
INDEXES = {
    "find_sessions_by_key": "ix_search_entry_key",
    "find_sessions_by_update": "ix_search_entry_listed_at",
}
# A queue of rows to purge, which is read from its beginning, one batch at a time.
QUEUE = "deleted_namespace"
# Statements that find the accounts that have something to do for.
FINDING_ACCOUNTS = {"sequencer_logs", "sequencer_find_accounts", "read_change_heads"}
# Tables that never have more than a few rows.
SMALL = {
    "alembic_version",
    "pg_attribute",
    "pg_class",
    "pg_database",
    "pg_extension",
    "pg_namespace",
    "pg_statistic",
    "signing_key",
}


def logs_by_itself(statement: Statement) -> bool:
    """Whether the statement is about many namespaces, and its text says how it logs what it changes."""
    return statement.name.startswith((b"purge", b"import", b"job"))


def statements() -> Iterator[Statement]:
    for module in pkgutil.walk_packages(ccs_server.store.__path__, "ccs_server.store."):
        if ".migrations" in module.name:
            continue
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Statement):
                yield value
                if changes_properties(value) and not logs_by_itself(value):
                    yield logged(value)
                if b", fence AS" in value.sql:
                    yield unfenced(value)
                    yield logged(unfenced(value))


PLANNED = {
    statement.name.decode(): statement
    for statement in statements()
    if not statement.sql.startswith((b"BEGIN", b"COMMIT", b"ROLLBACK", b"LOCK", b"EXPLAIN"))
}


@pytest.fixture(scope="module")
def full_database(cluster: Cluster) -> Iterator[Database]:
    """Many accounts with many namespaces, one of them with many sessions, for which a planner may choose a scan.

    They are in a database of their own: the sequencer of a service could not bring these events into a log.
    """
    database = Database(create_migrated_database(cluster, f"plans_{token_hex(6)}"), Settings())
    fill = """
        INSERT INTO namespace (account, name)
            SELECT 'plan-' || a, 'n' || n FROM generate_series(1, 20) a, generate_series(1, 50) n;
        INSERT INTO property (account, namespace_id, session_id, name, value, size)
            SELECT n.account, n.id, 's' || s, 'p' || p, '1', 9
            FROM namespace n, generate_series(1, 5) s, generate_series(1, 4) p
            WHERE n.account LIKE 'plan-%';
        INSERT INTO property (account, namespace_id, session_id, name, value, size)
            SELECT n.account, n.id, 't' || s, 'p' || p, '1', 9
            FROM namespace n, generate_series(1, 2000) s, generate_series(1, 5) p
            WHERE n.account = 'plan-1' AND n.name = 'n1';
        INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
            SELECT DISTINCT account, namespace_id, session_id, 60 FROM property
            WHERE account LIKE 'plan-%';
        INSERT INTO lease (account, namespace_id, session_id, owner, fence, expires_at, purge_at)
            SELECT DISTINCT account, namespace_id, session_id, '', 1, now(), now() FROM property
            WHERE account LIKE 'plan-%';
        INSERT INTO idempotent_response
            (account, credential, key_hash, request_hash, status, body)
            SELECT 'plan-' || k % 20, 'key', k::text::bytea, '', 200, '{}' FROM generate_series(1, 5000) k;
        INSERT INTO api_key (key_id, account, key_hash)
            SELECT 'plan-' || k, 'plan-' || k % 20, '' FROM generate_series(1, 500) k;
        INSERT INTO credential (username, account, password_hash)
            SELECT 'plan-' || k, 'plan-' || k % 20, '' FROM generate_series(1, 500) k;
        INSERT INTO quota (account, properties_limit)
            SELECT 'plan-' || a, 1000 FROM generate_series(1, 500) a;
        INSERT INTO change_head (account, epoch) SELECT 'plan-' || a, 1 FROM generate_series(1, 500) a;
        INSERT INTO change_floor (account, ns, pos)
            SELECT account, name, 1 FROM namespace WHERE account LIKE 'plan-%';
        INSERT INTO change (account, pos, ns, session_id, name, type, made_at, kept_until)
            SELECT 'plan-' || n % 20, n, 'n' || n % 50, 's' || n % 500, 'p', 'property.set', now(), now()
            FROM generate_series(1, 20000) n;
        INSERT INTO search_entry (account, namespace_id, session_id, name, key, listed_at, generation)
            SELECT account, namespace_id, session_id, name, 'n1', now(), 1 FROM property WHERE account LIKE 'plan-%';
        INSERT INTO job (account, id, kind, actor, due_at, purge_at)
            SELECT 'plan-' || n % 20, n, 'erase', 'key', CASE WHEN n % 9 = 0 THEN now() + interval '1 day' END, now()
            FROM generate_series(1, 5000) n;
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, keep_seconds)
            SELECT 'plan-' || n % 20, n % 50, 'n' || n % 50, 's', 'p', 'property.set', now(), 60
            FROM generate_series(1, 5000) n;
        INSERT INTO webhook (account, id, url, epoch, pos)
            SELECT 'plan-' || n % 400, 'w' || n, '', 1, 0 FROM generate_series(1, 2000) n;
        INSERT INTO webhook_secret (account, webhook_id, number, secret)
            SELECT account, id, 1, '' FROM webhook WHERE account LIKE 'plan-%';
        INSERT INTO activity (account, minute, saves)
            SELECT 'plan-' || n % 100, to_timestamp(n / 100 * 60), 1 FROM generate_series(1, 10000) n;
        ANALYZE
    """
    with database.engine.connect() as connection:
        for statement in fill.split(";"):
            connection.execute(text(statement))
    yield database
    database.release()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(database: Database, statement: Statement, options: str = "") -> dict[str, Any]:
    """Returns the generic plan, with the planner settings of the service's own connections."""
    with database.begin() as connection:
        pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
        assert pgconn.prepare(b"planned", statement.sql).status == ExecStatus.COMMAND_OK
        nulls = ", ".join(["NULL"] * pgconn.describe_prepared(b"planned").nparams)
        arguments = f"({nulls})" if nulls else ""
        result = pgconn.exec_(f"EXPLAIN (FORMAT JSON{options}) EXECUTE planned{arguments}".encode())
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        pgconn.exec_(b"DEALLOCATE planned")
        plan: dict[str, Any] = json.loads(result.get_value(0, 0))[0]["Plan"]
    return plan


@pytest.mark.parametrize("name", PLANNED)
def test_a_statement_searches_an_index_by_its_leading_columns(
    full_database: Database, name: str
) -> None:
    for node in nodes(plan_of(full_database, PLANNED[name])):
        kind, table = node["Node Type"], node.get("Relation Name")
        # A row that an index scan has found and locked is then deleted by its ctid.
        if table is None or table in SMALL or kind in {"ModifyTable", "Tid Scan"}:
            continue
        assert kind in {"Index Scan", "Index Only Scan"}, f"{kind} of {table}"
        if table == QUEUE or name in FINDING_ACCOUNTS:
            continue
        entered = node.get("Index Cond", "")
        index = node["Index Name"]
        if table == "search_entry":
            assert index == INDEXES.get(name, "pk_search_entry")
        if index in QUEUES:
            assert QUEUES[index] in entered
        elif index in KEYS:
            assert f"{KEYS[index]} = " in entered
        elif IN_STEPS.get((name, table), "nothing") in entered:
            assert "(account = " in entered
        else:
            missing = [column for column in RANGES[table] if f"({column} = " not in entered]
            assert not missing, f"{table} is entered at {entered}, without {missing}"


@pytest.mark.parametrize("name", [n for n, each in PLANNED.items() if b"ccs_" in each.sql])
def test_functions_of_one_expression_cost_no_call(full_database: Database, name: str) -> None:
    plan = json.dumps(plan_of(full_database, PLANNED[name], ", VERBOSE"))
    assert "ccs_has_expired" not in plan
    assert "ccs_etag" not in plan


def test_a_save_of_one_property_takes_the_lock_once_and_before_the_size_is_checked(
    full_database: Database,
) -> None:
    insert = plan_of(full_database, SAVE_ONE)
    [checking, *conflict] = insert["Plans"]
    [locking, *subqueries] = checking["Plans"]
    assert not conflict
    assert insert["Node Type"] == "ModifyTable"
    assert checking["Node Type"] == "Subquery Scan"
    assert "800000" in checking["Filter"]
    assert locking["Node Type"] == "Index Scan"
    assert "pg_try_advisory_xact_lock_shared" in locking["Filter"]
    assert all(each["Parent Relationship"] == "SubPlan" for each in subqueries)


def test_there_are_statements_to_check() -> None:
    assert {"read_all", "save", "save_document", "list_session_ids", "purge_expired"} < set(PLANNED)
