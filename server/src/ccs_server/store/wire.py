"""One connection as the hot path uses it: statements prepared once, no wait without an end.

SQLAlchemy's engine makes psycopg connections; a statement goes straight to the libpq connection below, where a
SQLAlchemy `text()` would cost 285 µs more (docs/performance.md). libpq waits for an answer as long as it takes, in a
single call that lets other threads run: waiting in steps, to look at the clock, would make each statement cost three
changes of threads. So a thread of the process watches over all of them, and cuts those that wait for too long.
"""

import os
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from time import monotonic, sleep
from typing import NamedTuple, Self, cast
from weakref import WeakSet

from psycopg import OperationalError
from psycopg.pq import DiagnosticField, ExecStatus
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
        _watch.add(self)

    def is_stale(self) -> bool:
        """Whether the server has said something unasked: it has closed this idle connection."""
        return monotonic() - self._used_at > _FRESH_SECONDS and bool(self._readable.poll(0))

    def execute(self, statement: Statement, params: Sequence[bytes | None] = ()) -> PGresult:
        """Runs one statement, in the transaction that is open or in one of its own.

        Raises:
            Unavailable: the connection is broken, or the server did not answer in time; drop the connection.
            InvalidInput: the database cannot store a value.
            StoreFault: the database refused the statement.
        """
        self._used_at = monotonic()
        self._is_waiting = True
        try:
            result = self._run(statement, params)
        except OperationalError as error:
            raise Unavailable(TIMED_OUT if self.is_silent else UNREACHABLE) from error
        finally:
            self._is_waiting = False
        if result.status == _REFUSED:
            raise self._fault(result)
        return result

    def _run(self, statement: Statement, params: Sequence[bytes | None]) -> PGresult:
        if not self._prepare:
            return self._pgconn.exec_params(statement.sql, params)
        if statement.name not in self._prepared:
            result = self._pgconn.prepare(statement.name, statement.sql)
            if result.status == _REFUSED:
                return result
            self._prepared.add(statement.name)
        # Its annotation knows no NULL, though it takes None for it as exec_params does.
        return self._pgconn.exec_prepared(statement.name, cast("Sequence[bytes]", params))

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
