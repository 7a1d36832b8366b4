"""A movable clock of the database, so that tests of a time to live need not sleep.

SQL resolves `now()` and its like to the first function of that name in the search path, which is the one that this
module installs.
"""

from sqlalchemy import NullPool, create_engine, make_url, text

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

SEARCH_PATH = "-c search_path=test_clock,public,pg_catalog"

_INSTALL = """
CREATE SCHEMA test_clock;
CREATE TABLE test_clock.shift (by interval NOT NULL);
INSERT INTO test_clock.shift VALUES ('0');
CREATE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.now() + by FROM test_clock.shift';
CREATE FUNCTION test_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.statement_timestamp() + by FROM test_clock.shift';
CREATE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM test_clock.shift';
"""


_ADVANCE = Statement.of(
    "test_clock_advance",
    "UPDATE test_clock.shift SET by = by + $1::float8 * interval '1 second'",
)
_RESET = Statement.of("test_clock_reset", "UPDATE test_clock.shift SET by = '0'")


def install(url: str) -> None:
    """Installs a movable clock in the database at `url`, for connections with SEARCH_PATH in their options."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(_INSTALL))


class Clock:
    """Moves `now()` of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def advance(self, *, seconds: float) -> None:
        """Moves the clock by `seconds`, which may be negative, for all transactions that begin afterwards."""
        self._database.execute(_ADVANCE, b"%r" % seconds)

    def reset(self) -> None:
        """Resets the clock to the real time."""
        self._database.execute(_RESET)
