"""Waits for the writes that have begun before a setting was changed, and may not know of it."""

from time import monotonic, sleep

from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

_PAUSE_SECONDS = 0.01

# The transactions that change properties now. A statement takes this lock before its snapshot, so those that are not
# among them see what was committed before. No transaction waits for this statement.
_WRITERS = Statement.of(
    "list_writers",
    """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'property'::regclass AND mode = 'RowExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)


def await_writers(database: Database) -> None:
    """Waits until every transaction that changes properties now has ended."""
    deadline = monotonic() + 2 * database.settings.statement_timeout
    running = _writers(database)
    while running:
        if monotonic() > deadline:
            raise Unavailable(BUSY)
        sleep(_PAUSE_SECONDS)
        running &= _writers(database)


def _writers(database: Database) -> set[bytes]:
    found = database.execute(_WRITERS)
    return {found.get_value(row, 0) or b"" for row in range(found.ntuples)}
