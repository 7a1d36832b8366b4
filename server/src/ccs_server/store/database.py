"""The database, and the two ways to use it: one statement, or several in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import NamedTuple

from psycopg import Connection, OperationalError
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, NullPool, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from ccs_server.domain.errors import ContextError, Unavailable
from ccs_server.settings import SettingError, Settings
from ccs_server.store.faults import UNREACHABLE, StoreFault
from ccs_server.store.wire import Statement, Wire

_BEGIN = Statement.of("begin", "BEGIN")
_COMMIT = Statement.of("commit", "COMMIT")
_ROLLBACK = Statement.of("rollback", "ROLLBACK")

# Every statement is a probe or a short range of an index, whatever the tables hold: a plan chosen while a table was
# small must not survive its growth, and planning anew at each call costs more than it can win.
_PLANNER = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}

# The server gives up first, so that its own sentence reaches the client; ours is for a server that is frozen.
_GRACE_SECONDS = 1.0


def read_url(url: str) -> URL:
    """The URL of a PostgreSQL database, as SQLAlchemy's with our driver.

    Raises:
        SettingError: it is not one. The message does not repeat it: there may be a password in it.
    """
    try:
        location = make_url(url)
    except (ArgumentError, ValueError):
        location = None
    if location is None or location.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingError(
            "CCS_DATABASE_URL must be like postgresql://user:password@host:5432/database."
        )
    return location.set(drivername="postgresql+psycopg")


class _Lease(NamedTuple):
    pooled: PoolProxiedConnection
    wire: Wire


class Database:
    """A PostgreSQL database; safe to share between threads, not between processes.

    Each thread that uses it keeps a connection of its own, for as long as both live: a check-out from a pool at each
    request would cost 10 µs and give the same, since a thread never needs two.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._settings = settings
        location = read_url(url)
        self.engine: Engine = create_engine(
            location.difference_update_query(["options"]),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args=self._connect_arguments(str(location.query.get("options", ""))),
        )
        event.listen(self.engine, "connect", self._attach_wire)
        self._leases = local()

    def execute(self, statement: Statement, *params: bytes | None) -> PGresult:
        """Runs one statement as a transaction of its own, in one round trip.

        Raises:
            Unavailable: the database cannot be used now; whether a write took place is not known.
            InvalidInput: a value cannot be stored.
        """
        wire = self._wire()
        try:
            return wire.execute(statement, params)
        except (Unavailable, StoreFault):
            self.release()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Wire]:
        """Several statements in one transaction: it commits at the end of the block, or rolls back on an exception.

        Raises:
            Unavailable: the database cannot be used now; if COMMIT was sent, whether it took place is not known.
        """
        wire = self._wire()
        try:
            wire.execute(_BEGIN)
            yield wire
            wire.execute(_COMMIT)
        except ContextError as error:
            if isinstance(error, Unavailable):
                self.release()
            else:
                wire.execute(_ROLLBACK)
            raise
        except BaseException:
            # Whatever state the transaction is in ends with its connection.
            self.release()
            raise

    def release(self) -> None:
        """Closes this thread's connection; its next statement opens another."""
        lease = self._leases.__dict__.pop("current", None)
        if lease is not None:
            lease.pooled.invalidate()
            lease.pooled.close()

    def _wire(self) -> Wire:
        lease: _Lease | None = getattr(self._leases, "current", None)
        if lease is not None:
            if not lease.wire.is_stale():
                return lease.wire
            self.release()
        try:
            pooled = self.engine.raw_connection()
        except OperationalError as error:
            raise Unavailable(UNREACHABLE) from error
        lease = self._leases.current = _Lease(pooled, pooled.info["wire"])
        return lease.wire

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
