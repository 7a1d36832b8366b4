"""One connection as the hot path uses it: statements prepared once, no wait without an end.

SQLAlchemy's engine makes psycopg connections; a statement goes straight to the libpq connection below, where a
SQLAlchemy `text()` would cost 285 µs more (docs/performance.md).
"""

import select
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple, Self

from psycopg import OperationalError
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from ccs_server.domain.errors import Unavailable
from ccs_server.store.faults import TIMED_OUT, UNREACHABLE, fault_from_sqlstate

_REFUSED = ExecStatus.FATAL_ERROR


class Statement(NamedTuple):
    """A statement in PostgreSQL's own notation, parameters as `$1`; `name` is its name when prepared."""

    name: bytes
    sql: bytes

    @classmethod
    def of(cls, name: str, sql: str) -> Self:
        """A statement from its name and text."""
        return cls(name.encode(), sql.encode())


class Wire:
    """A libpq connection on which every wait ends after `timeout` seconds.

    With `prepare` false each statement is parsed anew, which any transaction pooler in front of the database allows.

    Attributes:
        is_silent: the server has let a wait come to its end.
    """

    def __init__(self, pgconn: PGconn, *, timeout: float, prepare: bool) -> None:
        self._pgconn = pgconn
        self._timeout = timeout
        self._prepare = prepare
        self._prepared: set[bytes] = set()
        self.is_silent = False
        self._readable = select.poll()
        self._readable.register(pgconn.socket, select.POLLIN)

    def is_stale(self) -> bool:
        """Whether the server has said something unasked: it has closed this idle connection."""
        return bool(self._readable.poll(0))

    def execute(self, statement: Statement, params: Sequence[bytes | None] = ()) -> PGresult:
        """Runs one statement, in the transaction that is open or in one of its own.

        Raises:
            Unavailable: the connection is broken, or the server did not answer in time; drop the connection.
            InvalidInput: the database cannot store a value.
            StoreFault: the database refused the statement.
        """
        try:
            if not self._prepare:
                self._pgconn.send_query_params(statement.sql, params)
                return self._result()
            if statement.name not in self._prepared:
                self._pgconn.send_prepare(statement.name, statement.sql)
                self._result()
                self._prepared.add(statement.name)
            self._pgconn.send_query_prepared(statement.name, params)
            return self._result()
        except OperationalError as error:
            raise Unavailable(UNREACHABLE) from error

    def _result(self) -> PGresult:
        pgconn = self._pgconn
        deadline = monotonic() + self._timeout
        while pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT, deadline)
            pgconn.consume_input()
        result = self._next_result(deadline)
        if result is None:
            raise Unavailable(UNREACHABLE)
        # Until the server says that it is ready for more, which may come in a packet of its own.
        while self._next_result(deadline) is not None:
            pass
        if result.status == _REFUSED:
            sqlstate = (result.error_field(DiagnosticField.SQLSTATE) or b"08000").decode()
            primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
            raise fault_from_sqlstate(sqlstate, primary.decode(errors="replace"))
        return result

    def _next_result(self, deadline: float) -> PGresult | None:
        """Like PQgetResult, which would wait without an end where the connection has more to say."""
        pgconn = self._pgconn
        # consume_input also sends: the answer to a large statement may have been read by the loop of flush() already.
        while pgconn.is_busy():
            if not self._readable.poll(int(self._timeout * 1000)) or monotonic() > deadline:
                raise self._timed_out()
            pgconn.consume_input()
        return pgconn.get_result()

    def _wait(self, events: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._pgconn.socket, events)
        if not poll.poll(max(0, int((deadline - monotonic()) * 1000))):
            raise self._timed_out()

    def _timed_out(self) -> Unavailable:
        self.is_silent = True
        return Unavailable(TIMED_OUT)
