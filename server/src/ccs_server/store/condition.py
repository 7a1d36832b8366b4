"""Reads the condition of a database: what `ccs doctor` wants to know of it."""

import time
from dataclasses import dataclass

from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

OLDEST_VERSION = 15
"""The oldest major version of PostgreSQL that the tests run on."""

_CONDITION = Statement.of(
    "condition",
    """
    SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
        pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
        (SELECT string_agg(name, ', ' ORDER BY name) FROM unnest(
            ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name WHERE current_setting(name) = 'off'),
        to_regclass('alembic_version') IS NOT NULL,
        extract(epoch FROM clock_timestamp())
    """,
)

_REVISION = Statement.of("condition_revision", "SELECT version_num FROM alembic_version")


@dataclass(frozen=True)
class Condition:
    """The condition of a database, as the service's role sees it."""

    version: int
    """The major version of PostgreSQL."""
    encoding: str
    is_read_only: bool
    may_create: bool
    """Whether the role may create tables."""
    not_durable: str
    """The settings without which an acknowledged write may be lost, separated by commas."""
    revision: str | None
    """The revision of the schema; None if there is none."""
    skew: float
    """How many seconds the database's clock is ahead of this machine's."""
    uncertainty: float
    """How much `skew` may be off: half of the time that the response took, in seconds."""


def read_condition(url: str, settings: Settings) -> Condition:
    """Connects as the service does, and reads the condition of the database at `url`.

    Raises:
        Unavailable: the database cannot be used now; its cause says why.
        StoreFault: the database refused a statement.
        SettingError: `url` is not the URL of a PostgreSQL database.
    """
    database = Database(url, settings)
    try:
        # The first statement is slow to prepare, and the clock is to be read fast.
        database.execute(_CONDITION)
        before = time.time()
        result = database.execute(_CONDITION)
        after = time.time()
        version, encoding, read_only, create, not_durable, migrated, clock = (
            (result.get_value(0, column) or b"").decode() for column in range(7)
        )
        revision = None
        if migrated == "t" and (found := database.execute(_REVISION)).ntuples:
            revision = (found.get_value(0, 0) or b"").decode()
    finally:
        database.release()
    return Condition(
        version=int(version),
        encoding=encoding,
        is_read_only=read_only == "t",
        may_create=create == "t",
        not_durable=not_durable,
        revision=revision,
        skew=float(clock) - (before + after) / 2,
        uncertainty=(after - before) / 2,
    )
