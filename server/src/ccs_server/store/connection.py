"""A database connection for the hot path: each statement is prepared once, and every wait is bounded.

SQLAlchemy's engine opens psycopg connections. A statement is executed directly on the libpq connection underneath,
because a SQLAlchemy `text()` costs 285 µs more (docs/performance.md).

libpq blocks until the server responds, in a single call that releases the GIL. Waiting in steps, in order to check the
clock, would cost each statement three thread switches. Instead, one thread of the process watches all connections and
shuts down those that have waited too long.
"""

import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple, Self, TypeVar
from weakref import WeakSet

from psycopg import OperationalError
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from ccs_server.domain.errors import ContextError, Unavailable
from ccs_server.store.faults import TIMED_OUT, UNREACHABLE, StoreFault, fault_from_sqlstate

_REFUSED = ExecStatus.FATAL_ERROR

_WATCH_SECONDS = 0.1

# A connection used more recently than this is not checked: the check would be out of date as quickly.
_FRESH_SECONDS = 0.01


class Statement(NamedTuple):
    """An SQL statement with PostgreSQL's own placeholders (`$1`); `name` is the name it is prepared under."""

    name: bytes
    sql: bytes

    @classmethod
    def of(cls, name: str, sql: str) -> Self:
        """Creates a statement from its name and its text."""
        return cls(name.encode(), sql.encode())

    @cache  # noqa: B019 - there are few statements, and they are never released
    def after_waiting(self) -> "Statement":
        """The same statement, judging expiry by the time at which it begins.

        `now()` is when its transaction began. If that has waited for a lock since, a property may have expired that
        `now()` still finds, and readers have seen that it is gone.
        """
        return Statement(
            self.name + b"_after_waiting", self.sql.replace(b"now()", b"statement_timestamp()")
        )


Params = Sequence[bytes | None]
"""A statement's parameters in PostgreSQL's text format; None is NULL."""

Step = tuple[Statement, Params]
"""A statement of a pipeline, with its parameters."""


def array_parameter(elements: Iterable[bytes]) -> bytes:
    """An array as a parameter. Numbers, times and namespaces need no quotes in it; the caller quotes other elements."""
    return b"{%b}" % b",".join(elements)


Observer = Callable[[Sequence[bytes], float, str | None], None]
"""Is told of each round trip: the names of its statements, when it began (monotonic clock), and the class of its error.

It must be quick.
"""

Error = TypeVar("Error", bound=BaseException)


def _ignore(_statements: Sequence[bytes], _began: float, _error: str | None) -> None:
    """The observer of a connection without one."""


class LibpqConnection:
    """A libpq connection on which every wait ends soon after `timeout` seconds.

    If `prepare` is false, each statement is parsed anew, so that the connection works through any transaction pooler.
    `observe` is told of each round trip, if given.

    Attributes:
        has_timed_out: whether a wait has exceeded the timeout; the connection is then shut down.
    """

    def __init__(
        self, pgconn: PGconn, *, timeout: float, prepare: bool, observe: Observer | None = None
    ) -> None:
        self._pgconn = pgconn
        self._observe = observe or _ignore
        self._timeout = timeout
        self._prepare = prepare
        self._prepared: set[bytes] = set()
        self._used_at = monotonic()
        self._is_waiting = False
        self.has_timed_out = False
        # libpq may close its descriptor at any time, and another connection may then reuse the number. So we hold a
        # duplicate.
        self._socket = socket.socket(fileno=os.dup(pgconn.socket))
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLIN | select.POLLOUT)
        _watchdog.add(self)

    def is_stale(self) -> bool:
        """Whether the server has closed this idle connection, which is then readable."""
        return monotonic() - self._used_at > _FRESH_SECONDS and bool(self._readable.poll(0))

    def execute(self, statement: Statement, params: Params = ()) -> PGresult:
        """Runs one statement, in the open transaction if there is one.

        Raises:
            Unavailable: the connection is broken, or the server did not respond in time; discard the connection.
            InvalidInput: the database cannot store a value.
            StoreFault: the database refused the statement.
        """
        names = (statement.name,)
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            if self._prepare:
                if statement.name not in self._prepared:
                    self._prepare_now(statement)
                # psycopg's annotation omits None, although None means NULL here as it does in exec_params.
                result = self._pgconn.exec_prepared(statement.name, params)  # type: ignore[arg-type]
            else:
                result = self._pgconn.exec_params(statement.sql, params)
        except OperationalError as error:
            raise self._failed(names, self._lost()) from error
        except BaseException as error:
            self._failed(names, error)
            raise
        finally:
            self._is_waiting = False
        if result.status == _REFUSED:
            raise self._failed(names, self._fault(result))
        self._observe(names, self._used_at, None)
        return result

    def pipeline(self, *steps: Step) -> list[PGresult]:
        """Runs statements in one round trip, as one transaction unless one is open; returns their results.

        Uses libpq's pipeline mode. Each statement takes its snapshot after the one before it has finished.

        Raises:
            Unavailable: the connection is broken, or the server did not respond in time; discard the connection.
            InvalidInput: the database cannot store a value; no statement took effect.
            StoreFault: the database refused a statement; no statement took effect.
        """
        names = [statement.name for statement, _ in steps]
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            results = self._pipeline(steps)
        except OperationalError as error:
            raise self._failed(names, self._lost()) from error
        except BaseException as error:
            self._failed(names, error)
            raise
        finally:
            self._is_waiting = False
        if results[-1].status == _REFUSED:
            raise self._failed(names, self._fault(results[-1]))
        self._observe(names, self._used_at, None)
        return results

    def _failed(self, names: Sequence[bytes], error: Error) -> Error:
        """Tells the observer of a round trip that failed; returns its error."""
        self._observe(names, self._used_at, type(error).__name__)
        return error

    def _lost(self) -> Unavailable:
        """The error of a connection that cannot be used any more."""
        return Unavailable(TIMED_OUT if self.has_timed_out else UNREACHABLE)

    def _pipeline(self, steps: Sequence[Step]) -> list[PGresult]:
        pgconn = self._pgconn
        if self._prepare:
            for statement, _ in steps:
                if statement.name not in self._prepared:
                    self._prepare_now(statement)
        pgconn.enter_pipeline_mode()
        for statement, params in steps:
            if self._prepare:
                pgconn.send_query_prepared(statement.name, params)
            else:
                pgconn.send_query_params(statement.sql, params)
        pgconn.pipeline_sync()
        self._flush()
        results = self._results()
        pgconn.exit_pipeline_mode()
        return results

    def _prepare_now(self, statement: Statement) -> None:
        """Prepares the statement on this connection."""
        result = self._pgconn.prepare(statement.name, statement.sql)
        if result.status == _REFUSED:
            raise self._fault(result)
        self._prepared.add(statement.name)

    def _flush(self) -> None:
        """Sends the rest of libpq's buffer, and reads meanwhile so that neither side blocks the other."""
        while self._pgconn.flush():
            self._writable.poll()
            self._pgconn.consume_input()

    def _results(self) -> list[PGresult]:
        """Reads the results of a pipeline; the last one is the error that aborted the pipeline, if one did."""
        results: list[PGresult] = []
        while True:
            while self._pgconn.is_busy():
                self._readable.poll()
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                continue  # between the results of two statements
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
            if not results or results[-1].status != _REFUSED:
                results.append(result)
            if self._pgconn.status == ConnStatus.BAD:
                break
        assert results, "an empty pipeline"  # noqa: S101 - guards against a bug, not against input
        return results

    def _fault(self, result: PGresult) -> ContextError | StoreFault:
        if self.has_timed_out:
            return Unavailable(TIMED_OUT)
        sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"08000").decode()
        primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
        return fault_from_sqlstate(sqlstate, primary.decode(errors="replace"))

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Applies the timeout to a block that uses the psycopg connection directly, as SQLAlchemy does."""
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def shut_down_if_overdue(self) -> None:
        """Shuts the socket down if a wait has exceeded the timeout; libpq then reports a closed connection."""
        if self._is_waiting and monotonic() - self._used_at > self._timeout:
            self.has_timed_out = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the duplicated socket. The owner of the libpq connection closes that."""
        with _watchdog.lock:
            self._socket.close()


class _Watchdog:
    """A thread that shuts down connections whose wait is overdue.

    `lock` prevents a socket from being closed while it is being shut down.
    """

    def __init__(self) -> None:
        self.reset()
        # A forked process inherits the state of its parent's locks, but none of its threads.
        os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        """Starts over with no connections and no thread."""
        self.lock = Lock()
        self._connections: WeakSet[LibpqConnection] = WeakSet()
        self._thread: Thread | None = None

    def add(self, connection: LibpqConnection) -> None:
        """Watches the connection for as long as it exists."""
        with self.lock:
            self._connections.add(connection)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="overdue-statements", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            sleep(_WATCH_SECONDS)
            with self.lock:
                for connection in self._connections:
                    connection.shut_down_if_overdue()


_watchdog = _Watchdog()
