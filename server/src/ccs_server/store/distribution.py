"""Distributes the store over the nodes of a Citus cluster, by account.

All rows of an account are on one node, so each statement about an account is executed there. Small tables that are read
before the account is known are on every node.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from ccs_server.domain.errors import Unavailable
from ccs_server.store import schema
from ccs_server.store.faults import NOT_MIGRATED
from ccs_server.store.tables import ACCOUNT_TABLES, REFERENCE_TABLES

DEFAULT_SHARDS = 32
"""Parts that the accounts are divided into. There can never be more nodes in use than parts."""

_LARGEST = "property"

FUNCTIONS = (
    "ccs_merge(json,json)",
    "ccs_etag(json)",
    "ccs_has_expired(timestamptz)",
    "ccs_has_string(json,text[])",
    "ccs_search_key(json)",
)
"""Functions that a distributed database has on every node, and declares immutable.

Citus accepts no others where a save changes a row (`store/tables.py`).
"""

# Of the connections between nodes, which do not have the settings of the service's own.
_SETTINGS = ("enable_seqscan", "enable_bitmapscan", "jit")


class DistributionError(Exception):
    """The database cannot be distributed; the message is one sentence that says why and what to do."""


class Step(NamedTuple):
    """A statement of the distribution; `is_alone` if it cannot be part of a transaction."""

    sql: str
    is_alone: bool = False


def find_steps(url: str, shards: int = DEFAULT_SHARDS) -> list[Step]:
    """Returns what is left to do to distribute the database; nothing if it is distributed.

    Args:
        url: the database, on the coordinator of the cluster.
        shards: how many parts the accounts are divided into, if they are not divided yet.

    Raises:
        DistributionError: the database cannot be distributed.
        Unavailable: the database cannot be used now, or its schema is not current.
    """
    with schema.transaction(url) as connection:
        _check(connection)
        return [*_steps(connection, shards)]


def execute(url: str, steps: list[Step]) -> None:
    """Executes steps: those that must be alone by themselves, and then the rest in one transaction.

    Raises:
        Unavailable: the database cannot be used now; find the steps that are left, and execute them.
        StoreFault: the database refused a statement.
    """
    with schema.transaction(url, isolation_level="AUTOCOMMIT") as connection:
        for step in steps:
            if step.is_alone:
                connection.execute(text(step.sql))
    with schema.transaction(url) as connection:
        for step in steps:
            if not step.is_alone:
                connection.execute(text(step.sql))


def _check(connection: Connection) -> None:
    if not connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'citus'")):
        raise DistributionError(
            "The database has no Citus: on every node, add citus to shared_preload_libraries and execute"
            " CREATE EXTENSION citus in this database."
        )
    if not connection.scalar(text("SELECT citus_is_coordinator()")):
        raise DistributionError(
            "This node is not the coordinator of the cluster; connect to the coordinator."
        )
    workers = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary'"
    if not connection.scalar(text(workers)):
        raise DistributionError(
            "No node may hold data; add workers with SELECT citus_add_node('host', port)."
        )
    versions = connection.execute(
        text("SELECT to_regclass('alembic_version') IS NOT NULL")
    ).scalar_one()
    revision = versions and connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision != schema.CURRENT:
        raise Unavailable(NOT_MIGRATED)


def _steps(connection: Connection, shards: int) -> Iterator[Step]:
    is_distributed = {
        name
        for (name,) in connection.execute(
            text(
                "SELECT logicalrelid::text FROM pg_dist_partition WHERE partmethod = 'h' OR repmodel = 't'"
            )
        )
    }
    for function in FUNCTIONS:
        yield from _distribute_function(connection, function)
    if _LARGEST not in is_distributed:
        # Others can use the table while its rows are copied, if changes to it can be replicated.
        is_logical = connection.scalar(text("SHOW wal_level")) == "logical"
        create = "create_distributed_table" + ("_concurrently" if is_logical else "")
        yield Step(
            f"SELECT {create}('{_LARGEST}', 'account', colocate_with := 'none', shard_count := {shards})",
            is_alone=is_logical,
        )
    for name in ACCOUNT_TABLES:
        if name not in {*is_distributed, _LARGEST}:
            yield Step(
                f"SELECT create_distributed_table('{name}', 'account', colocate_with := '{_LARGEST}')"
            )
    for name in REFERENCE_TABLES:
        if name not in is_distributed:
            yield Step(f"SELECT create_reference_table('{name}')")
    yield from _configure(connection)


def _distribute_function(connection: Connection, function: str) -> Iterator[Step]:
    found = connection.execute(
        text(
            "SELECT provolatile = 'i', EXISTS (SELECT 1 FROM pg_dist_object"
            " WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid)"
            " FROM pg_proc WHERE oid = CAST(:function AS regprocedure)"
        ),
        {"function": function},
    )
    is_immutable, is_distributed = found.one()
    if not is_immutable:
        yield Step(f"ALTER FUNCTION {function} IMMUTABLE")
    if not is_distributed:
        yield Step(f"SELECT create_distributed_function('{function}')")


def _configure(connection: Connection) -> Iterator[Step]:
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    stored = connection.scalar(
        text(
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
            " WHERE d.datname = current_database() AND s.setrole = 0"
        )
    )
    for name in _SETTINGS:
        if f"{name}=off" not in (stored or []):
            yield Step(
                f"SELECT run_command_on_all_nodes('ALTER DATABASE {database} SET {name} = off')"
            )
