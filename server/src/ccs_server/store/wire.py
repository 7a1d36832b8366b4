"""One connection as the hot path uses it: statements prepared once, no wait without an end.

SQLAlchemy's engine makes psycopg connections; a statement goes straight to the libpq connection below, where a
SQLAlchemy `text()` would cost 285 µs more (docs/performance.md). libpq waits for an answer as long as it takes, in a
single call that lets other threads run: waiting in steps, to look at the clock, would make each statement cost three
changes of threads. So a thread of the process watches over all of them, and cuts those that wait for too long.
"""

import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple, Self, TypeVarTuple, cast
from weakref import WeakSet

from psycopg import OperationalError
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from ccs_server.domain.errors import ContextError, Unavailable
from ccs_server.store.faults import TIMED_OUT, UNREACHABLE, StoreFault, fault_from_sqlstate

_REFUSED = ExecStatus.FATAL_ERROR

_LOOK_SECONDS = 0.1

# What was used this short a time ago is not asked whether it is still there: the answer may be out of date as soon.
_FRESH_SECONDS = 0.01


class Statement(NamedTuple):
    """A statement in PostgreSQL's own notation, parameters as `$1`; `name` is its name when prepared."""

    name: bytes
    sql: bytes

    @classmethod
    def of(cls, name: str, sql: str) -> Self:
        """A statement from its name and text."""
        return cls(name.encode(), sql.encode())


Params = Sequence[bytes | None]
"""A statement's parameters in PostgreSQL's text format; None is NULL."""

Step = tuple[Statement, Params]
"""A statement of a pipeline, with its parameters."""

Args = TypeVarTuple("Args")


class Wire:
    """A libpq connection on which every wait ends soon after `timeout` seconds.

    With `prepare` false each statement is parsed anew, which any transaction pooler in front of the database allows.

    Attributes:
        is_silent: the server has let a wait come to its end.
    """

    def __init__(self, pgconn: PGconn, *, timeout: float, prepare: bool) -> None:
        self._pgconn = pgconn
        self._timeout = timeout
        self._prepare = prepare
        self._prepared: set[bytes] = set()
        self._used_at = monotonic()
        self._is_waiting = False
        self.is_silent = False
        # libpq closes its descriptor when it likes, and the number may be another connection's then: this one is ours.
        self._socket = socket.socket(fileno=os.dup(pgconn.socket))
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLIN | select.POLLOUT)
        _watch.add(self)

    def is_stale(self) -> bool:
        """Whether the server has said something unasked: it has closed this idle connection."""
        return monotonic() - self._used_at > _FRESH_SECONDS and bool(self._readable.poll(0))

    def execute(self, statement: Statement, params: Params = ()) -> PGresult:
        """Runs one statement, in the transaction that is open or in one of its own.

        Raises:
            Unavailable: the connection is broken, or the server did not answer in time; drop the connection.
            InvalidInput: the database cannot store a value.
            StoreFault: the database refused the statement.
        """
        return self._watched(self._execute, statement, params)

    def pipeline(self, *steps: Step) -> PGresult:
        """Runs statements as a transaction of their own, in one round trip; returns the last one's result.

        Each statement's snapshot is taken when the statement before it is done. This is libpq's pipeline mode.

        Raises:
            Unavailable: the connection is broken, or the server did not answer in time; drop the connection.
            InvalidInput: the database cannot store a value; none of the statements has an effect.
            StoreFault: the database refused a statement; none of them has an effect.
        """
        return self._watched(self._pipeline, *steps)

    def _watched(self, run: Callable[[*Args], PGresult], *args: *Args) -> PGresult:
        """Calls `run` under the watch for overdue waits, and raises what went wrong."""
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            result = run(*args)
        except OperationalError as error:
            raise Unavailable(TIMED_OUT if self.is_silent else UNREACHABLE) from error
        finally:
            self._is_waiting = False
        if result.status == _REFUSED:
            raise self._fault(result)
        return result

    def _execute(self, statement: Statement, params: Params) -> PGresult:
        if not self._prepare:
            return self._pgconn.exec_params(statement.sql, params)
        if refused := self._ensure_prepared(statement):
            return refused
        # Its annotation knows no NULL, though it takes None for it as exec_params does.
        return self._pgconn.exec_prepared(statement.name, cast("Sequence[bytes]", params))

    def _pipeline(self, *steps: Step) -> PGresult:
        pgconn = self._pgconn
        if self._prepare:
            for statement, _ in steps:
                if refused := self._ensure_prepared(statement):
                    return refused
        pgconn.enter_pipeline_mode()
        for statement, params in steps:
            if self._prepare:
                pgconn.send_query_prepared(statement.name, params)
            else:
                pgconn.send_query_params(statement.sql, params)
        pgconn.pipeline_sync()
        self._flush()
        last = self._last_result()
        pgconn.exit_pipeline_mode()
        return last

    def _ensure_prepared(self, statement: Statement) -> PGresult | None:
        """Prepares the statement on this connection, once; returns the server's refusal if it refuses."""
        if statement.name not in self._prepared:
            result = self._pgconn.prepare(statement.name, statement.sql)
            if result.status == _REFUSED:
                return result
            self._prepared.add(statement.name)
        return None

    def _flush(self) -> None:
        """Sends what is still in libpq's buffer; reads meanwhile, so that neither side waits for the other."""
        while self._pgconn.flush():
            self._writable.poll()
            self._pgconn.consume_input()

    def _last_result(self) -> PGresult:
        """Reads the results of a pipeline; returns the last one, or the refusal that ended it."""
        last: PGresult | None = None
        while True:
            while self._pgconn.is_busy():
                self._readable.poll()
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                continue  # between the results of two statements
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
            if last is None or last.status != _REFUSED:
                last = result
            if self._pgconn.status == ConnStatus.BAD:
                break
        assert last is not None, "an empty pipeline"  # noqa: S101 - a fault of ours, not a check of input
        return last

    def _fault(self, result: PGresult) -> ContextError | StoreFault:
        if self.is_silent:
            return Unavailable(TIMED_OUT)
        sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"08000").decode()
        primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
        return fault_from_sqlstate(sqlstate, primary.decode(errors="replace"))

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Bounds a block that uses the connection by other means than `execute`: it too is cut off after `timeout`."""
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def cut_if_overdue(self) -> None:
        """Ends a wait that has lasted too long: libpq then finds the connection closed."""
        if self._is_waiting and monotonic() - self._used_at > self._timeout:
            self.is_silent = True
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives back what this holds beside the libpq connection, which its owner closes."""
        with _watch.lock:
            self._socket.close()


class _Watch:
    """The thread of this process that cuts overdue waits. `lock` keeps a socket from being closed as it is cut."""

    def __init__(self) -> None:
        self.begin()
        # A forked process has none of its parent's threads, and its locks as they were.
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """Begins with nothing to watch."""
        self.lock = Lock()
        self._wires: WeakSet[Wire] = WeakSet()
        self._thread: Thread | None = None

    def add(self, wire: Wire) -> None:
        """Watches over the wire for as long as it exists."""
        with self.lock:
            self._wires.add(wire)
            if self._thread is None:
                self._thread = Thread(target=self._look, name="overdue-statements", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while True:
            sleep(_LOOK_SECONDS)
            with self.lock:
                for wire in self._wires:
                    wire.cut_if_overdue()


_watch = _Watch()
