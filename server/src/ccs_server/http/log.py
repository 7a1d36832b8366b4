"""The log of a process: lines on standard error, which never keep the process waiting.

All modules log through `logging`. The handler here leaves each line in a buffer, and one thread writes the buffer to
standard error; if standard error is not read, only that thread waits. Lines that do not fit into the buffer are
dropped and counted, and the log says how many as soon as it can be written again.

Standard error is not made non-blocking for that: it may be shared with other programs, a terminal's shell for one, and
they would share the change.
"""

import logging
import os
import select
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Condition, Lock, Thread, main_thread
from time import sleep
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder, encode

from ccs_server.settings import LogLevel

_BUFFER_BYTES = 1 << 20

# So much is written in one piece even where several processes share a pipe (POSIX, write).
_PIECE_BYTES = select.PIPE_BUF

# What is logged within so long is written together: the writer's turn takes the interpreter from the requests.
_GATHER_SECONDS = 0.02

_FLUSH_SECONDS = 0.5
"""How long the end of a process waits for a log that is not read."""

_RETRY_SECONDS = 1.0

_log = logging.getLogger("ccs.log")


class AccessLine(Struct, gc=False):
    """A request as a line of JSON has it."""

    time: datetime
    request_id: str
    method: str
    path: str
    status: int
    ms: float


_encode_lines = Encoder().encode_lines

_ACCESS = vars(logging.makeLogRecord({"name": "ccs.access"}))
_ACCESS |= {"levelno": logging.INFO, "levelname": "INFO"}


class AccessRecord(logging.LogRecord):
    """A request as a record.

    It is made without what `LogRecord` finds out about the thread and the caller: that takes ten times as long.
    """

    def __init__(self, line: AccessLine, process: int) -> None:
        self.__dict__ = _ACCESS.copy()
        self.process = process
        self.created = line.time.timestamp()
        self.line = line
        self.request_id = line.request_id
        self.method = line.method
        self.path = line.path
        self.status = line.status
        self.duration = line.ms / 1000
        """In seconds."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The line that formatters other than ours show."""
        return f"{self.method} {self.path} {self.status} {self.line.ms:.2f} ms {self.request_id}"


class JsonFormatter(logging.Formatter):
    """A record as a JSON object: for whatever collects logs."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        if isinstance(record, AccessRecord):
            return encode(record.line).decode()
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return encode(fields).decode()


class TerminalFormatter(logging.Formatter):
    """A record as a coloured line: for a person at a terminal."""

    _RED, _GREEN, _YELLOW, _DIM = 31, 32, 33, 2

    def format(self, record: logging.LogRecord) -> str:
        """One line, or more where there is a traceback. Control characters are shown, not sent to the terminal."""
        time = self._coloured(self._DIM, self.formatTime(record, "%H:%M:%S"))
        if isinstance(record, AccessRecord):
            colour = {2: self._GREEN, 5: self._RED}.get(record.status // 100, self._YELLOW)
            status = self._coloured(colour, str(record.status))
            path = _visible(record.path)
            tail = self._coloured(self._DIM, f"{record.line.ms:.2f} ms {record.request_id}")
            return f"{time} {status} {_visible(record.method)} {path} {tail}"
        colours = {"INFO": self._GREEN, "DEBUG": self._DIM, "WARNING": self._YELLOW}
        level = self._coloured(colours.get(record.levelname, self._RED), record.levelname)
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        text = "\n".join(map(_visible, text.splitlines()))
        return f"{time} {level} {record.name}[{record.process}]: {text}"

    @staticmethod
    def _coloured(colour: int, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m"


def _visible(text: str) -> str:
    """The text with what is not printable as an escape sequence of Python's."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class LineWriter:
    """Writes lines to a file descriptor from a thread of its own, so that no other thread waits for it.

    Its threads start with the first line, and again with the first one after a fork.
    """

    def __init__(self, file: int) -> None:
        self.on_drop: Callable[[int], None] = lambda _count: None
        self._file = file
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._forget()
        os.register_at_fork(
            before=self._lock.acquire,
            after_in_parent=self._lock.release,
            after_in_child=self._after_fork,
        )

    def _forget(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._is_stuck = False
        self._writer: Thread | None = None

    def _after_fork(self) -> None:
        # The lines are the parent's to write. The lock was taken before the fork, so nothing is half done.
        self._changed = Condition(self._lock)
        self._forget()
        self._lock.release()

    def put(self, lines: bytes, *, even_if_full: bool = False) -> None:
        """Leaves whole lines to be written; drops those for which there is no room."""
        with self._lock:
            for piece in _pieces(lines):
                self._put(piece, even_if_full=even_if_full)

    def _put(self, piece: bytes, *, even_if_full: bool) -> None:
        if self._size + len(piece) > _BUFFER_BYTES and not even_if_full:
            self._drop(piece)
            return
        if self._writer is None and not self._start():
            self._drop(piece)
            return
        if not self._waiting:
            self._changed.notify_all()
        self._waiting.append(piece)
        self._size += len(piece)

    def flush(self) -> None:
        """Returns when what was put has been written, or after half a second if it cannot be."""
        with self._lock:
            # Where it has been waited for in vain once, it is not waited for again.
            seconds = 0.0 if self._is_stuck else _FLUSH_SECONDS
            self._is_stuck = not self._changed.wait_for(lambda: not self._size, seconds)

    def _start(self) -> bool:
        """Starts the threads, if the interpreter is not about to end."""
        writer = Thread(target=self._run, name="log-writer", daemon=True)
        try:
            writer.start()
            # The process does not wait for a daemon, which may never end; but for this one, which does.
            Thread(target=self._flush_at_end, name="log-flush", daemon=False).start()
        except RuntimeError:
            return False
        self._writer = writer
        return True

    def _flush_at_end(self) -> None:
        main_thread().join()
        self.flush()

    def _drop(self, lines: bytes) -> None:
        # With the lock, so that a fork finds the counter at rest.
        count = lines.count(b"\n")
        self._dropped += count
        self.on_drop(count)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._changed.wait_for(lambda: self._waiting)
            sleep(_GATHER_SECONDS)
            while piece := self._take():
                self._write(piece)

    def _take(self) -> bytes:
        """The next lines, as many as can be written in one piece; one at least if there is one."""
        with self._lock:
            piece = self._waiting.popleft() if self._waiting else b""
            while self._waiting and len(piece) + len(self._waiting[0]) <= _PIECE_BYTES:
                piece += self._waiting.popleft()
            return piece

    def _write(self, lines: bytes) -> None:
        data = memoryview(lines)
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError:
            # Its reader is gone or its disk full. There is nowhere else to say so.
            with self._lock:
                self._drop(lines)
                dropped = 0
        else:
            with self._lock:
                self._is_stuck = False
                dropped, self._dropped = self._dropped, 0
        if dropped:
            _log.warning("%d lines of the log were dropped: it could not be written.", dropped)
        with self._lock:
            self._size -= len(lines)
            if not self._size:
                self._changed.notify_all()

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._file, data)
        except BlockingIOError:
            # Another program that shares it has made it non-blocking.
            select.select([], [self._file], [], _RETRY_SECONDS)
            return 0


def _pieces(lines: bytes) -> Iterator[bytes]:
    """Whole lines in parts that can be written in one piece each; a longer line is a part of its own."""
    start = 0
    while start < len(lines):
        end = start + _PIECE_BYTES
        if end < len(lines):
            end = lines.rfind(b"\n", start, end) + 1 or lines.index(b"\n", start) + 1
        yield lines[start:end]
        start = end


class LogHandler(logging.Handler):
    """A handler that never waits: see LineWriter."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Leaves the record's line to be written."""
        self._writer.put(self._line(record), even_if_full=record.name == _log.name)

    def emit_lines(self, lines: bytes) -> None:
        """Leaves lines to be written that need no formatter any more."""
        self._writer.put(lines)

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not fail what logs it
            text = self._failure(record)
        return text.encode(errors="backslashreplace") + b"\n"

    def _failure(self, record: logging.LogRecord) -> str:
        """Why the record cannot be formatted; what `logging` does then would wait for standard error."""
        reason = logging.makeLogRecord(
            {
                "name": _log.name,
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "process": os.getpid(),
                "msg": "A record of %s cannot be formatted: %s",
                "args": (record.name, traceback.format_exc(limit=-1)),
            }
        )
        try:
            return self.format(reason)
        except Exception:  # noqa: BLE001 - the formatter itself is at fault: its fault is written as it is
            return reason.getMessage()

    def flush(self) -> None:
        """Waits for what was logged to be written, for half a second at most."""
        self._writer.flush()


_stderr = LineWriter(2)


def handle_all(logger: logging.Logger, lines: Sequence[AccessLine]) -> None:
    """Does what `logger.handle` does with the record of each line; where only our handler writes JSON, without them."""
    handlers = _handlers_of(logger)
    ours = handlers[0] if len(handlers) == 1 else None
    if (
        isinstance(ours, LogHandler)
        and type(ours.formatter) is JsonFormatter
        and not (logger.disabled or logger.filters or ours.filters)
    ):
        ours.emit_lines(_encode_lines(lines))
        return
    process = os.getpid()
    for line in lines:
        logger.handle(AccessRecord(line, process))


def _handlers_of(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers that get the logger's records."""
    handlers = list(logger.handlers)
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        handlers += logger.handlers
    return handlers


def call_on_drop(call: Callable[[int], None]) -> None:
    """Has `call` told of lines that are dropped, as their number. It must be quick, and must not log."""
    _stderr.on_drop = call


def flush() -> None:
    """Waits for what was logged to be written, for half a second at most."""
    _stderr.flush()


def stderr_handler() -> LogHandler:
    """A handler for standard error: coloured lines if it is a terminal, else lines of JSON."""
    handler = LogHandler(_stderr)
    handler.setFormatter(TerminalFormatter() if sys.stderr.isatty() else JsonFormatter())
    return handler


def logging_of(level: LogLevel) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything from `level` up, to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"()": stderr_handler}},
        "loggers": {
            # Alembic tells at "info" that it runs, at every start.
            "alembic": {"level": "WARNING" if level == "info" else level.upper()},
            # That a request to the operations listener waits for a thread is nothing to act on.
            "waitress.queue": {"level": "ERROR"},
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }
