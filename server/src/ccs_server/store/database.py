"""Access to the database: a single statement, a pipeline of statements, a transaction, or SQLAlchemy Core."""

from collections import deque
from collections.abc import Iterator
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
from ccs_server.domain.ttl_cache import TTLCache
from ccs_server.settings import SettingError, Settings
from ccs_server.store.connection import LibpqConnection, Observer, Statement, Step
from ccs_server.store.core_statements import observe_core
from ccs_server.store.faults import TIMED_OUT, UNREACHABLE, fault_from_driver
from ccs_server.store.features import SECONDS, KnownFeatures, SearchIndex

BEGIN = Statement.of("begin", "BEGIN")
COMMIT = Statement.of("commit", "COMMIT")
ROLLBACK = Statement.of("rollback", "ROLLBACK")

# Every statement should be an index lookup or a short index range scan, whatever the tables hold. A plan that was
# chosen for a small table must not persist as the table grows, and planning at each call costs more than it saves.
_PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}

# Citus plans a statement for the node that has the account, so it needs the value of each parameter.
_PLAN_FOR_CITUS = Statement.of(
    "plan_for_citus",
    "SELECT set_config('plan_cache_mode', 'auto', false) FROM pg_extension WHERE extname = 'citus'",
)

# The server's own timeout comes first, so that its error reaches the client. Ours is for a server that hangs.
_GRACE_SECONDS = 1.0


def read_url(url: str, variable: str = "CCS_DATABASE_URL") -> URL:
    """Parses the URL of a PostgreSQL database, given in `variable`, and selects the psycopg driver.

    Raises:
        SettingError: it is not such a URL. The message does not repeat it, since it may contain a password.
    """
    try:
        location = make_url(url)
    except (ArgumentError, ValueError):
        location = None
    if location is None or location.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingError(
            f"{variable} must be like postgresql://user:password@host:5432/database."
        )
    return location.set(drivername="postgresql+psycopg")


class Usage(NamedTuple):
    """The connections of a `Database`."""

    used: int
    """Those that a statement or a transaction has now."""
    idle: int
    opened: int
    """Those that were ever opened."""
    failed: int
    """How often that failed."""


class _PooledConnection(NamedTuple):
    pooled: PoolProxiedConnection
    libpq: LibpqConnection


class Database:
    """A PostgreSQL database. It may be shared between threads, but not between processes.

    Idle connections are kept, and the most recently used one is reused first. There are never more connections than
    were once in use at the same time. Checking one out or in is a single operation on a deque, which is atomic and
    costs almost nothing; a check-out from SQLAlchemy's pool costs 10 µs. `observe` is told of each round trip, those of
    SQLAlchemy Core among them.

    Attributes:
        settings: the settings.
        features: what is known of namespaces that have features.
        indexes: the indexes of namespaces, by account and namespace, as they were lately.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        observe: Observer | None = None,
        variable: str = "CCS_DATABASE_URL",
    ) -> None:
        self.settings = settings
        self._observe = observe
        self.features = KnownFeatures()
        self.indexes = TTLCache[SearchIndex](SECONDS)
        location = read_url(url, variable)
        self.engine: Engine = create_engine(
            location.difference_update_query(["options"]),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args=self._connect_arguments(str(location.query.get("options", ""))),
            # Parameters include hashes and private keys, which SQLAlchemy would put into its error messages.
            hide_parameters=True,
        )
        event.listen(self.engine, "connect", self._attach_libpq)
        event.listen(self.engine, "close", self._close_libpq)
        if observe is not None:
            observe_core(self.engine, observe)
        self._idle: deque[_PooledConnection] = deque()
        self._is_down = False
        self._connecting = Lock()
        self._counting = Lock()
        self._opened = 0
        self._closed = 0
        self._failed = 0

    def execute(self, statement: Statement, *params: bytes | None) -> PGresult:
        """Runs one statement in its own transaction, in one round trip.

        Raises:
            Unavailable: the database cannot be used now. A write may or may not have been committed.
            InvalidInput: a value cannot be stored.
        """
        connection = self._check_out()
        try:
            result = connection.libpq.execute(statement, params)
        except BaseException as error:
            self._check_in_failed(connection, error)
            raise
        self._idle.append(connection)
        return result

    def pipeline(self, *steps: Step) -> list[PGresult]:
        """Runs statements as one transaction in one round trip, and returns their results.

        Each statement takes its snapshot after the one before it has finished. A statement that follows one that
        waits for a lock therefore sees everything that was committed before the lock was granted.

        Raises:
            Unavailable: the database cannot be used now. A write may or may not have been committed.
            InvalidInput: a value cannot be stored.
        """
        connection = self._check_out()
        try:
            results = connection.libpq.pipeline(*steps)
        except BaseException as error:
            self._check_in_failed(connection, error)
            raise
        self._idle.append(connection)
        return results

    @contextmanager
    def transaction(self) -> Iterator[LibpqConnection]:
        """Runs the block in a transaction, which commits at its end or rolls back on an exception.

        Raises:
            Unavailable: the database cannot be used now. If COMMIT was sent, it may or may not have succeeded.
        """
        with self.pipelined_transaction() as connection:
            connection.execute(BEGIN)
            yield connection
            connection.execute(COMMIT)

    @contextmanager
    def pipelined_transaction(self) -> Iterator[LibpqConnection]:
        """Runs a block that sends BEGIN and COMMIT itself, within its pipelines; rolls back on an exception.

        Raises:
            Unavailable: the database cannot be used now. If COMMIT was sent, it may or may not have succeeded.
        """
        with self._transaction() as connection:
            yield connection.libpq

    @contextmanager
    def begin(self) -> Iterator[CoreConnection]:
        """Runs the block in a transaction for SQLAlchemy Core; for infrequent operations.

        The transaction commits at the end of the block, or rolls back on an exception. The timeout of a single
        statement applies to the whole block.

        Raises:
            Unavailable: the database cannot be used now. If COMMIT was sent, it may or may not have succeeded.
            StoreFault: the database refused a statement.
        """
        with self._transaction() as connection:
            libpq = connection.libpq
            libpq.execute(BEGIN)
            try:
                with libpq.bounded():
                    # Not closed, since that would close the connection, which is ours.
                    yield CoreConnection(self.engine, connection.pooled)
            except DBAPIError as error:
                if libpq.has_timed_out:
                    raise Unavailable(TIMED_OUT) from error.orig
                raise fault_from_driver(error) from error.orig
            libpq.execute(COMMIT)

    @contextmanager
    def _transaction(self) -> Iterator[_PooledConnection]:
        """Checks a connection out for a block that sends BEGIN and COMMIT itself; rolls back on an exception."""
        connection = self._check_out()
        # A transaction that ends in any other way is in an unknown state, so its connection is closed.
        broken = True
        try:
            yield connection
            broken = False
        except ContextError as error:
            if not isinstance(error, Unavailable):
                connection.libpq.execute(ROLLBACK)
                broken = False
            raise
        finally:
            self._check_in(connection, broken=broken)

    def usage(self) -> Usage:
        """The connections of now."""
        with self._counting:
            count, idle = self._opened - self._closed, len(self._idle)
            return Usage(max(0, count - idle), idle, self._opened, self._failed)

    def release(self) -> None:
        """Closes the idle connections; the next statement opens a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            _close(connection)

    def _check_out(self) -> _PooledConnection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if not connection.libpq.is_stale():
                return connection
            _close(connection)

    def _check_in(self, connection: _PooledConnection, *, broken: bool) -> None:
        if broken:
            self._is_down = self._is_down or connection.libpq.has_timed_out
            _close(connection)
        else:
            self._idle.append(connection)

    def _check_in_failed(self, connection: _PooledConnection, error: BaseException) -> None:
        """Checks a connection in after the error of a single round trip; it is kept if it is in a known state."""
        is_known = isinstance(error, ContextError) and not isinstance(error, Unavailable)
        self._check_in(connection, broken=not is_known)

    def _connect(self) -> _PooledConnection:
        """Opens a connection, unless the database is down and another thread is already trying to connect.

        It then fails at once. If every thread waited for the connection timeout, requests queued behind them would
        wait many times as long.
        """
        if not self._is_down:
            return self._open()
        if not self._connecting.acquire(blocking=False):
            raise Unavailable(UNREACHABLE)
        try:
            return self._open()
        finally:
            self._connecting.release()

    def _open(self) -> _PooledConnection:
        try:
            pooled = self.engine.raw_connection()
        # SQLAlchemy wraps the errors of the statements that it sends on an engine's first connection, and no others.
        except (OperationalError, DBAPIError, Unavailable) as error:
            self._is_down = True
            with self._counting:
                self._failed += 1
            raise Unavailable(UNREACHABLE) from error
        self._is_down = False
        return _PooledConnection(pooled, pooled.info["libpq"])

    def _connect_arguments(self, options: str) -> dict[str, object]:
        settings = self.settings
        parameters = _PLANNER | {
            "statement_timeout": f"{int(settings.statement_timeout * 1000)}ms",
            "idle_in_transaction_session_timeout": f"{int(settings.statement_timeout * 2000)}ms",
        }
        ours = " ".join(f"-c {name}={value}" for name, value in parameters.items())
        # A transaction pooler rejects startup parameters, and may use another server connection for each transaction.
        return {
            "application_name": "ccs",
            "connect_timeout": settings.connect_timeout,
            "prepare_threshold": None,
            "options": f"{ours} {options}".strip()
            if settings.transaction_pooler == "off"
            else options,
        }

    def _attach_libpq(self, connection: Connection, entry: ConnectionPoolEntry) -> None:
        libpq = LibpqConnection(
            connection.pgconn,
            timeout=self.settings.statement_timeout + _GRACE_SECONDS,
            prepare=self.settings.transaction_pooler != "on",
            observe=self._observe,
        )
        if self.settings.transaction_pooler == "off":
            try:
                libpq.execute(_PLAN_FOR_CITUS)
            except BaseException:
                # SQLAlchemy forgets a connection whose event fails, and does not close it.
                libpq.close()
                connection.close()
                raise
        entry.info["libpq"] = libpq
        with self._counting:
            self._opened += 1

    def _close_libpq(self, _connection: Connection, entry: ConnectionPoolEntry) -> None:
        entry.info["libpq"].close()
        with self._counting:
            self._closed += 1


def _close(connection: _PooledConnection) -> None:
    # SQLAlchemy has done so already if it has noticed that the connection is broken.
    if connection.pooled.is_valid:
        connection.pooled.invalidate()
    connection.pooled.close()
