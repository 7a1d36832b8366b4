"""The schema's version: which one this code needs, which one a database has, and the way from one to the other.

Revisions are numbers with leading zeros, so a later one compares greater. A database may be ahead of the code: while
instances are replaced one by one, old ones run on a schema that a new one has migrated (docs/operations.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from ccs_server.domain.errors import Unavailable
from ccs_server.store.database import Database, read_url
from ccs_server.store.faults import NOT_MIGRATED, READ_ONLY, fault_from_driver
from ccs_server.store.wire import Statement

CURRENT = "0004"
"""The newest revision in `migrations/versions`; a test holds the two together."""

# Any number will do, as long as nobody else's lock in the same database has it: "CCS schema" in ASCII, cut to 64 bits.
_LOCK = int.from_bytes(b"CCS sche")

_CONNECT_SECONDS = 10

if TYPE_CHECKING:
    from alembic.config import Config

_STATE = Statement.of(
    "schema_state",
    "SELECT version_num, current_setting('transaction_read_only') FROM alembic_version",
)


def migrate(url: str, revision: str = "head") -> None:
    """Brings the schema of the database at `url` up to `revision`, all of the way or not at all.

    Many may do so at once: one migrates, the others wait for it and find nothing left to do.

    Raises:
        Unavailable: the database cannot be used now.
        StoreFault: it refuses, for want of a right for example.
    """
    with transaction(url) as connection:
        upgrade(connection, revision)


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """One transaction in the database at `url`, without the limits on time that requests have.

    Raises:
        Unavailable: the database cannot be used now.
        StoreFault: it refuses, for want of a right for example.
    """
    engine = create_engine(
        read_url(url), poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}
    )
    try:
        with engine.begin() as connection:
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        raise fault_from_driver(error) from error


def lock(connection: Connection) -> None:
    """Waits until no other transaction changes the schema; none does until this one ends."""
    # Held until the commit, so it works through a transaction pooler and cannot be left behind.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Brings the schema up to `revision` within the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - a third of a second that few starts need

    lock(connection)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> "Config":
    """Alembic's configuration, without a file: the migrations ship in this package."""
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", "ccs_server.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> set[str]:
    """Every revision that this code can migrate from."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see upgrade

    scripts = ScriptDirectory.from_config(alembic_config())
    return {script.revision for script in scripts.walk_revisions()}


def check(database: Database) -> None:
    """Returns if the database answers, accepts writes and its schema is current.

    Raises:
        Unavailable: it does not, or is behind; the message says which.
    """
    result = database.execute(_STATE)
    version = result.get_value(0, 0) if result.ntuples else None
    if version is None or version.decode() < CURRENT:
        raise Unavailable(NOT_MIGRATED)
    if result.get_value(0, 1) == b"on":
        # A standby, or what a failover has left of a primary: another instance may be better connected.
        database.release()
        raise Unavailable(READ_ONLY)
