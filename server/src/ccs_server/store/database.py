"""The connection pool, and the two ways to use it: one statement, or several in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Connection
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.faults import BUSY, UNREACHABLE, StoreFault
from ccs_server.store.wire import Statement, Wire

_BEGIN = Statement.of("begin", "BEGIN")
_COMMIT = Statement.of("commit", "COMMIT")
_ROLLBACK = Statement.of("rollback", "ROLLBACK")

# Every statement is a probe or a short range of an index, whatever the tables hold: a plan chosen while a table was
# small must not survive its growth, and planning anew at each call costs more than it can win.
_PLANNER = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}

# The server gives up first, so that its own sentence reaches the client; ours is for a server that is frozen.
_GRACE_SECONDS = 1.0


class Database:
    """A PostgreSQL database; safe to share between threads, not between processes."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        location = make_url(url).set(drivername="postgresql+psycopg")
        self.engine: Engine = create_engine(
            location.difference_update_query(["options"]),
            isolation_level="AUTOCOMMIT",
            # Nothing is ever left open on a connection, so nothing needs to be reset: a check-out costs 6 µs.
            pool_reset_on_return=None,
            skip_autocommit_rollback=True,
            pool_size=settings.pool_size,
            max_overflow=0,
            pool_timeout=settings.statement_timeout,
            connect_args=self._connect_arguments(str(location.query.get("options", ""))),
        )
        event.listen(self.engine, "connect", self._attach_wire)

    def execute(self, statement: Statement, *params: bytes | None) -> PGresult:
        """Runs one statement as a transaction of its own, in one round trip.

        Raises:
            Unavailable: the database cannot be used now; whether a write took place is not known.
            InvalidInput: a value cannot be stored.
        """
        pooled = self._check_out()
        try:
            wire: Wire = pooled.info["wire"]
            return wire.execute(statement, params)
        except (Unavailable, StoreFault):
            pooled.invalidate()
            raise
        finally:
            pooled.close()

    @contextmanager
    def transaction(self) -> Iterator[Wire]:
        """Several statements in one transaction: it commits at the end of the block, or rolls back on an exception.

        Raises:
            Unavailable: the database cannot be used now; if COMMIT was sent, whether it took place is not known.
        """
        pooled = self._check_out()
        try:
            wire: Wire = pooled.info["wire"]
            wire.execute(_BEGIN)
            try:
                yield wire
            except (Unavailable, StoreFault):
                raise
            except BaseException:
                wire.execute(_ROLLBACK)
                raise
            wire.execute(_COMMIT)
        except (Unavailable, StoreFault):
            pooled.invalidate()
            raise
        finally:
            pooled.close()

    def close(self) -> None:
        """Closes the idle connections."""
        self.engine.dispose()

    def _check_out(self) -> PoolProxiedConnection:
        while True:
            try:
                pooled = self.engine.raw_connection()
            except PoolTimeoutError as error:
                raise Unavailable(BUSY) from error
            except DBAPIError as error:
                raise Unavailable(UNREACHABLE) from error
            if not pooled.info["wire"].is_stale():
                return pooled
            pooled.invalidate()
            pooled.close()

    def _connect_arguments(self, options: str) -> dict[str, object]:
        settings = self._settings
        parameters = _PLANNER | {
            "statement_timeout": f"{int(settings.statement_timeout * 1000)}ms",
            "idle_in_transaction_session_timeout": f"{int(settings.statement_timeout * 2000)}ms",
        }
        ours = " ".join(f"-c {name}={value}" for name, value in parameters.items())
        # A transaction pooler refuses start-up parameters, and hands each transaction another connection.
        return {
            "application_name": "ccs",
            "connect_timeout": settings.connect_timeout,
            "prepare_threshold": None,
            "options": options if settings.transaction_pooler else f"{ours} {options}".strip(),
        }

    def _attach_wire(self, connection: Connection, entry: ConnectionPoolEntry) -> None:
        entry.info["wire"] = Wire(
            connection.pgconn,
            timeout=self._settings.statement_timeout + _GRACE_SECONDS,
            prepare=not self._settings.transaction_pooler,
        )
