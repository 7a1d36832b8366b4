"""The tables can be partitioned, or distributed over machines, by account: each statement reads one partition.

The tests partition the tables of PostgreSQL itself, which needs no extension. `benchmarks.citus` runs the service on a
distributed database.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest
from psycopg.pq import ExecStatus
from sqlalchemy import text

from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.distribution import FUNCTIONS
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespaces import delete_namespace, register_namespace
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.run import run
from ccs_server.store.purge import purge
from ccs_server.store.reading import read_all
from ccs_server.store.saving import save
from ccs_server.store.tables import ACCOUNT_TABLES, REFERENCE_TABLES, metadata
from tests.store.test_plans import PLANNED, nodes
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database
from tests.support.partitions import partition

# These find the accounts that have something to do for.
OF_ALL_ACCOUNTS = {
    "activity_find_expiries",
    "job_find_due",
    "purge_find_activity",
    "purge_find_jobs",
    "read_change_heads",
    "sequencer_find_accounts",
    "sequencer_logs",
    "purge_find_changes",
    "purge_find_accounts",
    "purge_find_audit_lines",
    "purge_find_expired",
    "purge_find_leases",
    "purge_find_responses",
    "webhook_any",
    "webhook_find_due",
}
# PostgreSQL sees that these need no row of the table that they name.
LOCKS = {"idempotency_try_lock", "lock_document", "lock_documents"}
ACCOUNTS = [f"account-{number}" for number in range(20)]


@pytest.fixture(scope="module")
def partitioned_url(cluster: Cluster) -> str:
    url = create_migrated_database(cluster, f"partitioned_{token_hex(6)}")
    partition(url)
    return url


@pytest.fixture
def partitioned(partitioned_url: str) -> Iterator[Database]:
    database = Database(partitioned_url, Settings())
    yield database
    database.release()


@pytest.fixture
def moved_clock(partitioned: Database) -> Iterator[Clock]:
    clock = Clock(partitioned)
    yield clock
    clock.reset()


def plan_for_account(database: Database, statement: Statement) -> dict[str, Any]:
    """Returns the generic plan as it is executed for one account."""
    with database.begin() as connection:
        pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
        prepared = pgconn.prepare(b"planned", statement.sql)
        assert prepared.status == ExecStatus.COMMAND_OK, prepared.error_message
        count = pgconn.describe_prepared(b"planned").nparams
        arguments = ", ".join(["'account-1'", *["NULL"] * (count - 1)])
        result = pgconn.exec_(f"EXPLAIN (FORMAT JSON) EXECUTE planned({arguments})".encode())
        assert result.status == ExecStatus.TUPLES_OK, result.error_message
        pgconn.exec_(b"DEALLOCATE planned")
        plan: dict[str, Any] = json.loads(result.get_value(0, 0))[0]["Plan"]
    return plan


def scanned_partitions(plan: dict[str, Any]) -> dict[str, set[str]]:
    """Returns the partitions that a plan reads, by their table."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in nodes(plan):
        name = node.get("Relation Name", "")
        table, _, number = name.rpartition("_")
        if node["Node Type"] != "ModifyTable" and table in ACCOUNT_TABLES and number.isdigit():
            found[table].add(name)
    return found


def tables_of(statement: Statement) -> set[str]:
    """Returns the tables of accounts that a statement names."""
    named = set(
        re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO|USING|,)\s+([a-z_]+)", statement.sql.decode())
    )
    return named & set(ACCOUNT_TABLES)


OF_ACCOUNTS = sorted(
    name
    for name, statement in PLANNED.items()
    if tables_of(statement) and name not in OF_ALL_ACCOUNTS
)


@pytest.mark.parametrize("name", OF_ACCOUNTS)
def test_a_statement_reads_one_partition_of_each_table(partitioned: Database, name: str) -> None:
    statement = PLANNED[name]
    sql = statement.sql.decode()
    inserted = dict(re.findall(r"INSERT INTO ([a-z_]+)\s*\(([a-z_]+)", sql))
    assert all(first == "account" for table, first in inserted.items() if table in ACCOUNT_TABLES)
    scanned = scanned_partitions(plan_for_account(partitioned, statement))
    assert all(len(partitions) == 1 for partitions in scanned.values()), scanned
    if name in LOCKS:
        assert "account = $1" in sql
    else:
        assert scanned.keys() | inserted.keys() >= tables_of(statement)


def test_a_statement_that_names_no_account_reads_all_partitions(partitioned: Database) -> None:
    """So the test above can fail."""
    statement = Statement.of("unpruned", "SELECT value FROM property WHERE name = $1")
    assert len(scanned_partitions(plan_for_account(partitioned, statement))["property"]) == 4


def test_there_are_statements_to_check() -> None:
    assert set(PLANNED) > OF_ALL_ACCOUNTS
    assert {"save", "read_all", "lock_document", "grant_lease", "purge_expired"} < set(OF_ACCOUNTS)


def test_every_unique_key_begins_with_the_account() -> None:
    for name in ACCOUNT_TABLES:
        table = metadata.tables[name]
        unique = [list(index.columns) for index in table.indexes if index.unique]
        for columns in [list(table.primary_key), *unique]:
            assert columns[0].name == "account", name
    assert set(metadata.tables) | {"alembic_version"} == {*ACCOUNT_TABLES, *REFERENCE_TABLES}


def test_statements_select_at_least_one_column() -> None:
    """Citus keeps results of subqueries in files, which need one."""
    for name, statement in PLANNED.items():
        assert not re.search(rb"SELECT\s+(FROM|WHERE)\b", statement.sql), name


def test_a_conflicting_row_is_changed_by_immutable_expressions_alone() -> None:
    """Citus accepts no others there."""
    mutable = re.compile(r"now\(\)|_timestamp\(\)|\b(?:convert_to|to_json|to_char)\(|interval")
    for name, statement in PLANNED.items():
        for clause in re.findall(
            r"ON CONFLICT.*?(?=RETURNING|$)", statement.sql.decode(), re.DOTALL
        ):
            assert not mutable.search(clause), name


def ctes_that_use_places_of_another(sql: str) -> set[str]:
    """Returns the CTEs that compare `ctid` and read another CTE of the statement."""
    _, *parts = re.split(r"\n    (?:WITH |\), )(\w+) AS (?:MATERIALIZED )?\(\n", sql)
    ctes = dict(zip(parts[::2], parts[1::2], strict=True))
    return {
        name
        for name, cte in ctes.items()
        if "ctid" in (body := cte.partition("\n    )")[0])
        and ctes.keys() & set(re.findall(r"\b(?:FROM|JOIN|USING|,)\s+([a-z_]+)", body))
    }


def test_a_row_is_found_by_its_place_in_one_step() -> None:
    """Citus executes the CTEs one after the other if one of them inserts; the row might move between two of them."""
    inserting = {name: each.sql.decode() for name, each in PLANNED.items() if b"INTO" in each.sql}
    assert {name for name, sql in inserting.items() if "ctid" in sql} == {
        "purge_expired",
        "purge_changes",
    }
    for name, sql in inserting.items():
        assert not ctes_that_use_places_of_another(sql), name
    # All CTEs of a statement that inserts nothing are executed on the node of the account together.
    assert ctes_that_use_places_of_another(PLANNED["purge_leases"].sql.decode()) == {
        "put_off",
        "deleted",
    }


def clauses(sql: str, begins: str, ends: str) -> Iterator[str]:
    """Returns the clauses that begin and end so, or end with the parentheses that they are in."""
    for found in re.finditer(begins, sql):
        depth = 0
        for token in re.finditer(rf"[()]|\b(?:{ends})\b", sql[found.end() :]):
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if depth < 0 or (depth == 0 and token[0] not in "()"):
                yield sql[found.end() : found.end() + token.start()]
                break
        else:
            yield sql[found.end() :]


def called(sql: str) -> set[str]:
    """Returns the names that are followed by a parenthesis: functions, and others that no function has."""
    return set(re.findall(r"\b([a-z_]+)\s*\(", sql))


@pytest.fixture(scope="module")
def volatilities(database: Database) -> dict[str, set[str]]:
    """The names of functions that are not immutable in a distributed database, by how volatile they are."""
    declared = {function.partition("(")[0] for function in FUNCTIONS}
    found: defaultdict[str, set[str]] = defaultdict(set)
    with database.begin() as connection:
        for name, volatility in connection.execute(
            text("SELECT proname, provolatile::text FROM pg_proc WHERE provolatile <> 'i'")
        ):
            if name not in declared:
                found[volatility].add(name)
    return found


@pytest.mark.parametrize("name", OF_ACCOUNTS)
def test_a_statement_calls_only_functions_that_citus_allows(
    name: str, volatilities: dict[str, set[str]]
) -> None:
    """Citus refuses volatile functions in updates, and stable ones in their CASE and COALESCE and in RETURNING."""
    sql = re.sub(r"--.*", "", PLANNED[name].sql.decode())
    volatile, changing = volatilities["v"], volatilities["v"] | volatilities["s"]
    for assigned in clauses(sql, r"\bUPDATE\s+\w+(?:\s+\w+)?\s+SET\b", "FROM|WHERE|RETURNING"):
        assert not called(assigned) & volatile, assigned
        for lazy in (
            *clauses(assigned, r"\bcoalesce\b", ","),
            *clauses(assigned, r"\bCASE\b", "END"),
        ):
            assert not called(lazy) & changing, lazy
    for returned in clauses(sql, r"\bRETURNING\b", "$"):
        assert not called(returned) & changing, returned


def test_the_purge_deletes_what_is_old_of_each_account_and_nothing_else(
    partitioned: Database, moved_clock: Clock
) -> None:
    """Rows of different partitions have the same `ctid`."""
    documents = [DocumentKey(account, "n", "s") for account in ACCOUNTS]
    for document in documents:
        register_namespace(partitioned, document.account, "n", 60)
        save(partitioned, document, b'{"old": 1}')
        register_namespace(partitioned, document.account, "n", 0)
        save(partitioned, document, b'{"kept": 1}')
        run(partitioned, Lease(document=document, owner="bot", seconds=10))
        register_namespace(partitioned, document.account, "deleted", None)
        save(partitioned, document._replace(namespace="deleted"), b'{"gone": 1}')
        delete_namespace(partitioned, document.account, "deleted", "user:1")
    moved_clock.advance(seconds=86_400 + 700)
    for document in documents:
        run(partitioned, Lease(document=document, owner="other", seconds=10))
    with partitioned.begin() as connection:
        connection.execute(
            text("DELETE FROM audit WHERE account = :account"), {"account": ACCOUNTS[0]}
        )

    purged = purge(partitioned, batch=7)

    assert purged.properties == 2 * len(ACCOUNTS)
    assert purged.namespaces == len(ACCOUNTS)
    assert purged.leases == purged.audit_lines == 0
    for document in documents:
        assert read_all(partitioned, document) == b'{ "kept" : 1 }'
    with partitioned.begin() as connection:
        for table, count in {
            "property": 20,
            "lease": 20,
            "audit": 19,
            "deleted_namespace": 0,
        }.items():
            rows = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
            assert rows == count, table
