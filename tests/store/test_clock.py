"""The movable clock of the tests applies to every `now()` in our SQL."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from ccs_server.store import credentials
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from tests.support.clock import Clock

NOW = Statement.of("test_now", "SELECT extract(epoch FROM now())")


def test_it_applies_to_prepared_statements_and_defaults(database: Database, clock: Clock) -> None:
    before = _now(database)
    clock.advance(seconds=3600)
    assert 3600 <= _now(database) - before < 3660
    made = credentials.create_key(database, "clock")
    with database.engine.connect() as connection:
        created_at = connection.execute(
            text("SELECT created_at FROM api_key WHERE key_id = :id"), {"id": made.key_id}
        ).scalar_one()
    assert created_at > datetime.now(UTC) + timedelta(minutes=59)
    clock.reset()
    assert _now(database) - before < 60


def _now(database: Database) -> float:
    return float(database.execute(NOW).get_value(0, 0) or b"")
