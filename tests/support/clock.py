"""The database's clock, moved by hand: no test of a time to live has to sleep.

SQL that says `now()` finds the first function of that name on the search path, and that is ours.
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
"""


def install(url: str) -> None:
    """Gives the database at `url` a `now()` that a Clock moves, for connections whose options hold SEARCH_PATH."""
    _execute(url, _INSTALL)


class Clock:
    """Moves `now()` of one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def advance(self, *, seconds: float) -> None:
        """Moves the clock on, or back, by `seconds`, for every transaction that begins after this."""
        shift = "UPDATE test_clock.shift SET by = by + :by"
        _execute(self._url, shift, by=timedelta(seconds=seconds))

    def reset(self) -> None:
        """Puts the clock right."""
        _execute(self._url, "UPDATE test_clock.shift SET by = '0'")


def _execute(url: str, statements: str, **params: object) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statements), params)
