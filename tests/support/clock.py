"""A movable clock of the database, so that tests of a time to live need not sleep.

SQL resolves `now()` and its like to the first function of that name in the search path, which is the one that this
module installs.
"""

from datetime import timedelta

from sqlalchemy import NullPool, create_engine, make_url, text

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


def install(url: str) -> None:
    """Installs a movable clock in the database at `url`, for connections with SEARCH_PATH in their options."""
    _execute(url, _INSTALL)


class Clock:
    """Moves `now()` of one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def advance(self, *, seconds: float) -> None:
        """Moves the clock by `seconds`, which may be negative, for all transactions that begin afterwards."""
        shift = "UPDATE test_clock.shift SET by = by + :by"
        _execute(self._url, shift, by=timedelta(seconds=seconds))

    def reset(self) -> None:
        """Resets the clock to the real time."""
        _execute(self._url, "UPDATE test_clock.shift SET by = '0'")


def _execute(url: str, statements: str, **params: object) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statements), params)
