"""The database, and the ways to use it: one statement, a pipeline of them, a transaction, or SQLAlchemy Core."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

from psycopg import Connection, OperationalError
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, NullPool, PoolProxiedConnection, create_engine, event, make_url
from sqlalchemy import Connection as CoreConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from ccs_server.domain.errors import ContextError, Unavailable
from ccs_server.settings import SettingError, Settings
from ccs_server.store.faults import TIMED_OUT, UNREACHABLE, fault_from_driver
from ccs_server.store.wire import Args, Statement, Step, Wire

_BEGIN = Statement.of("begin", "BEGIN")
_COMMIT = Statement.of("commit", "COMMIT")
_ROLLBACK = Statement.of("rollback", "ROLLBACK")

# Every statement is a probe or a short range of an index, whatever the tables hold: a plan chosen while a table was
# small must not survive its growth, and planning anew at each call costs more than it can win.
_PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}

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

    A connection that is not in use waits for the next that asks, the one used last first: there are as many as were
    ever in use at once. Taking one and putting it back are single steps of a deque, atomic in Python and free beside
    the 10 µs that a check-out from a pool would cost.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        location = read_url(url)
        self.engine: Engine = create_engine(
            location.difference_update_query(["options"]),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args=self._connect_arguments(str(location.query.get("options", ""))),
            # SQLAlchemy would show them in its errors, and hashes and private keys are among them.
            hide_parameters=True,
        )
        self._transactional = self.engine.execution_options(isolation_level="READ COMMITTED")
        event.listen(self.engine, "connect", self._attach_wire)
        event.listen(self.engine, "close", _close_wire)
        self._idle: deque[_Lease] = deque()
        self._is_down = False
        self._trying = Lock()

    def execute(self, statement: Statement, *params: bytes | None) -> PGresult:
        """Runs one statement as a transaction of its own, in one round trip.

        Raises:
            Unavailable: the database cannot be used now; whether a write took place is not known.
            InvalidInput: a value cannot be stored.
        """
        return self._lend(Wire.execute, statement, params)

    def pipeline(self, *steps: Step) -> PGresult:
        """Runs several statements as one transaction, in one round trip; returns the last one's result.

        Each statement's snapshot is taken when the statement before it is done: one that waits for a lock lets the
        next see all that was committed until then.

        Raises:
            Unavailable: the database cannot be used now; whether a write took place is not known.
            InvalidInput: a value cannot be stored.
        """
        return self._lend(Wire.pipeline, *steps)

    @contextmanager
    def transaction(self) -> Iterator[Wire]:
        """Several statements in one transaction: it commits at the end of the block, or rolls back on an exception.

        Raises:
            Unavailable: the database cannot be used now; if COMMIT was sent, whether it took place is not known.
        """
        lease = self._take()
        # Whatever state a transaction is in when it is left otherwise ends with its connection.
        broken = True
        try:
            lease.wire.execute(_BEGIN)
            yield lease.wire
            lease.wire.execute(_COMMIT)
            broken = False
        except ContextError as error:
            if not isinstance(error, Unavailable):
                lease.wire.execute(_ROLLBACK)
                broken = False
            raise
        finally:
            self._put_back(lease, broken=broken)

    @contextmanager
    def begin(self) -> Iterator[CoreConnection]:
        """A transaction for statements of SQLAlchemy Core, on a connection of its own: for what requests seldom do.

        It commits at the end of the block, or rolls back on an exception. The whole block may take as long as one
        statement.

        Raises:
            Unavailable: the database cannot be used now; if COMMIT was sent, whether it took place is not known.
            StoreFault: the database refused a statement.
        """
        wire: Wire | None = None
        try:
            with self._transactional.connect() as connection:
                wire = connection.connection.info["wire"]
                with wire.bounded(), connection.begin():
                    yield connection
        except DBAPIError as error:
            if wire is not None and wire.is_silent:
                raise Unavailable(TIMED_OUT) from error.orig
            raise fault_from_driver(error) from error.orig

    def _lend(self, run: Callable[[Wire, *Args], PGresult], *args: *Args) -> PGresult:
        """Calls `run` with a connection that nothing else uses meanwhile."""
        lease = self._take()
        try:
            result = run(lease.wire, *args)
        except ContextError as error:
            self._put_back(lease, broken=isinstance(error, Unavailable))
            raise
        except BaseException:
            self._put_back(lease, broken=True)
            raise
        self._idle.append(lease)
        return result

    def release(self) -> None:
        """Closes the connections that are not in use; the next statement opens another."""
        while True:
            try:
                lease = self._idle.pop()
            except IndexError:
                return
            _close(lease)

    def _take(self) -> _Lease:
        while True:
            try:
                lease = self._idle.pop()
            except IndexError:
                return self._connect()
            if not lease.wire.is_stale():
                return lease
            _close(lease)

    def _put_back(self, lease: _Lease, *, broken: bool) -> None:
        if broken:
            self._is_down = self._is_down or lease.wire.is_silent
            _close(lease)
        else:
            self._idle.append(lease)

    def _connect(self) -> _Lease:
        """A new connection; refused at once while another thread waits for a database that could not be reached.

        Were they all to wait, the requests behind them would wait for a thread first, and so many times as long.
        """
        if not self._is_down:
            return self._open()
        if not self._trying.acquire(blocking=False):
            raise Unavailable(UNREACHABLE)
        try:
            return self._open()
        finally:
            self._trying.release()

    def _open(self) -> _Lease:
        try:
            pooled = self.engine.raw_connection()
        except OperationalError as error:
            self._is_down = True
            raise Unavailable(UNREACHABLE) from error
        self._is_down = False
        return _Lease(pooled, pooled.info["wire"])

    def _connect_arguments(self, options: str) -> dict[str, object]:
        settings = self.settings
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
            timeout=self.settings.statement_timeout + _GRACE_SECONDS,
            prepare=not self.settings.transaction_pooler,
        )


def _close_wire(_connection: Connection, entry: ConnectionPoolEntry) -> None:
    entry.info["wire"].close()


def _close(lease: _Lease) -> None:
    lease.pooled.invalidate()
    lease.pooled.close()
