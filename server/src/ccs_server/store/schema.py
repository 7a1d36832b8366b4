"""Checks and migrates the schema of a database.

Revisions are numbers with leading zeros, so a later one compares greater. A database may be ahead of the code: during a
rolling upgrade, old instances run on a schema that a new instance has migrated (docs/operate/upgrade.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError

from ccs_server.domain.errors import Unavailable
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database, read_url
from ccs_server.store.faults import NOT_MIGRATED, READ_ONLY, fault_from_driver

CURRENT = "0010"
"""The newest revision in `migrations/versions`; a test compares the two."""

# Any number that no other application uses in the same database: "CCS schema" in ASCII, truncated to 64 bits.
_LOCK = int.from_bytes(b"CCS sche")

_CONNECT_SECONDS = 10

if TYPE_CHECKING:
    from alembic.config import Config

_STATE = Statement.of(
    "schema_state",
    "SELECT version_num, current_setting('transaction_read_only') FROM alembic_version",
)


def migrate(url: str, revision: str = "head") -> None:
    """Migrates the schema of the database at `url` up to `revision`, in one transaction.

    Concurrent calls are safe: one migrates, and the others wait for it and find nothing left to do.

    Raises:
        Unavailable: the database cannot be used now.
        StoreFault: the database refused a statement, for example because a privilege is missing.
    """
    with transaction(url) as connection:
        upgrade(connection, revision)


@contextmanager
def transaction(
    url: str, isolation_level: IsolationLevel = "READ COMMITTED"
) -> Iterator[Connection]:
    """Runs the block in a transaction on the database at `url`, without the timeouts of requests.

    With `AUTOCOMMIT`, each statement is a transaction of its own instead.

    Raises:
        Unavailable: the database cannot be used now.
        StoreFault: the database refused a statement, for example because a privilege is missing.
    """
    engine = create_engine(
        read_url(url),
        poolclass=NullPool,
        isolation_level=isolation_level,
        connect_args={"connect_timeout": _CONNECT_SECONDS},
    )
    try:
        with engine.begin() as connection:
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        raise fault_from_driver(error) from error


def lock(connection: Connection) -> None:
    """Takes the lock on the schema, which is held until the end of the transaction."""
    # A lock that ends with the transaction works through a transaction pooler, and cannot be left behind.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrates the schema up to `revision`, in the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - takes a third of a second, and few starts need it

    lock(connection)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> "Config":
    """Returns Alembic's configuration. It needs no file, since this package contains the migrations."""
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", "ccs_server.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> set[str]:
    """Returns every revision that this code can migrate from."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see upgrade

    scripts = ScriptDirectory.from_config(alembic_config())
    return {script.revision for script in scripts.walk_revisions()}


def check(database: Database) -> None:
    """Checks that the database responds, accepts writes and has a current schema.

    Raises:
        Unavailable: one of these does not hold; the message says which.
    """
    result = database.execute(_STATE)
    version = result.get_value(0, 0) if result.ntuples else None
    if version is None or version.decode() < CURRENT:
        raise Unavailable(NOT_MIGRATED)
    if result.get_value(0, 1) == b"on":
        # A standby, or a former primary after a failover. New connections may reach the new primary.
        database.release()
        raise Unavailable(READ_ONLY)
