"""The log's handler: what it makes of records, and that nothing waits for it."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from time import monotonic
from typing import IO, Any, ClassVar

import pytest
from msgspec.structs import replace

from ccs_server.http.log import (
    AccessLine,
    AccessRecord,
    JsonFormatter,
    LineWriter,
    LogHandler,
    TerminalFormatter,
    handle_all,
)
from tests.support.waiting import wait_until

ACCESS = AccessLine(
    time=datetime.fromtimestamp(0.25, UTC),
    request_id="id-1",
    method="GET",
    path="/v1/account/café\x1b[2J",
    status=404,
    ms=1.5,
)


def requests_for(*paths: str) -> list[AccessLine]:
    return [replace(ACCESS, path=path) for path in paths]


class Log:
    """A logger on a pipe."""

    def __init__(self) -> None:
        read_end, self.write_end = os.pipe()
        self.reader: IO[bytes] = os.fdopen(read_end, "rb", buffering=0)
        self.writer = LineWriter(self.write_end)
        self.dropped = 0
        self.writer.on_drop = self._drop
        handler = LogHandler(self.writer)
        handler.setFormatter(JsonFormatter())
        self.logger = logging.Logger("test")  # noqa: LOG001 - not one that others see
        self.logger.addHandler(handler)

    def _drop(self, count: int) -> None:
        self.dropped += count

    def read(self) -> list[dict[str, Any]]:
        """What is in the pipe now; there must be something."""
        lines = self.reader.read(1 << 20)
        while not lines.endswith(b"\n"):
            lines += self.reader.read(1 << 20)
        return [json.loads(line) for line in lines.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    with log.reader:
        yield log
    # Nobody reads any more: what is left is dropped.
    wait_until(lambda: not log.writer._size)
    os.close(log.write_end)


def test_a_record_is_a_line_of_json(log: Log) -> None:
    log.logger.warning("%s is %d.\nReally.", "café", 1)
    log.writer.flush()
    [line] = log.read()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "test",
        "process": os.getpid(),
        "message": "café is 1.\nReally.",
    }


def test_a_traceback_is_in_its_line(log: Log) -> None:
    try:
        int("why")
    except ValueError:
        log.logger.exception("failed")
    log.writer.flush()
    [line] = log.read()
    assert line["message"] == "failed"
    assert line["traceback"].endswith("invalid literal for int() with base 10: 'why'")


def test_a_request_is_a_line_of_json() -> None:
    assert json.loads(JsonFormatter().format(AccessRecord(ACCESS, process=7))) == {
        "time": "1970-01-01T00:00:00.250000Z",
        "request_id": "id-1",
        "method": "GET",
        "path": "/v1/account/café\x1b[2J",
        "status": 404,
        "ms": 1.5,
    }


def test_a_request_is_a_record_for_other_handlers() -> None:
    formatter = logging.Formatter("%(levelname)s %(name)s %(process)d %(message)s")
    record = AccessRecord(replace(ACCESS, path="/a"), process=7)
    assert formatter.format(record) == "INFO ccs.access 7 GET /a 404 1.50 ms id-1"
    assert (record.created, record.duration) == (0.25, 0.0015)


def test_requests_that_are_logged_together_have_the_lines_of_their_records(log: Log) -> None:
    # Some lines are longer than what is written in one piece, and so are all of them together.
    lines = requests_for("/a", "/é\n", "/" + "x" * 10_000, *("/b" * 500 for _ in range(20)), "/c")
    handle_all(log.logger, lines)
    log.writer.flush()
    together = log.read()
    for line in lines:
        log.logger.handle(AccessRecord(line, process=7))
    log.writer.flush()
    assert log.read() == together
    assert [line["path"] for line in together] == [line.path for line in lines]


def test_other_handlers_and_filters_get_each_record(log: Log) -> None:
    class Other(logging.Handler):
        paths: ClassVar[list[str]] = []

        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record, AccessRecord)
            self.paths.append(record.path)

    lines = requests_for("/a", "/b", "/c")
    log.logger.addFilter(lambda record: " /b " not in record.getMessage())
    log.logger.addHandler(Other())
    handle_all(log.logger, lines)
    log.writer.flush()
    assert [line["path"] for line in log.read()] == Other.paths == ["/a", "/c"]
    log.logger.handlers.pop()
    handle_all(log.logger, lines)
    log.writer.flush()
    assert [line["path"] for line in log.read()] == ["/a", "/c"]
    log.logger.disabled = True
    handle_all(log.logger, lines)
    assert not log.writer._size


def test_lines_that_are_dropped_together_are_counted_each(log: Log) -> None:
    log.reader.close()
    handle_all(log.logger, requests_for(*("/a" * 100 for _ in range(64))))
    wait_until(lambda: log.dropped == 64)


def test_a_terminal_gets_no_control_characters_of_clients() -> None:
    formatter = TerminalFormatter()
    line = formatter.format(AccessRecord(ACCESS, process=7))
    assert "\x1b[33m404\x1b[0m GET /v1/account/café\\x1b[2J " in line
    record = logging.LogRecord("a", logging.ERROR, "", 0, "one\x1b[2J\ntwo", (), None)
    assert formatter.format(record).endswith("one\\x1b[2J\ntwo")


def test_what_cannot_be_formatted_is_told(log: Log) -> None:
    log.logger.warning("%d", "no number")
    log.writer.flush()
    [line] = log.read()
    assert line["logger"] == "ccs.log"
    assert "TypeError" in line["message"]


def test_a_formatter_that_always_fails_ends_in_a_line_too() -> None:
    class Failing(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise TypeError(record.name)

    read_end, write_end = os.pipe()
    writer = LineWriter(write_end)
    handler = LogHandler(writer)
    handler.setFormatter(Failing())
    handler.emit(logging.makeLogRecord({"name": "ccs.test", "msg": "lost"}))
    writer.flush()
    assert b"A record of ccs.test cannot be formatted" in os.read(read_end, 65536)
    os.close(read_end)


def test_nothing_waits_where_nobody_reads_and_what_is_dropped_is_told(log: Log) -> None:
    sent = in_a_row = 0
    # The writer may still make room for a moment after the first line was dropped.
    while in_a_row < 10:
        before = log.dropped
        log.logger.warning("x" * 1000)
        sent += 1
        in_a_row = in_a_row + 1 if log.dropped > before else 0
        assert sent < 2000
    dropped = log.dropped
    logging.getLogger("ccs.log").addHandler(log.logger.handlers[0])
    try:
        seen: list[dict[str, Any]] = []
        while not any("were dropped" in line["message"] for line in seen):
            seen += log.read()
    finally:
        logging.getLogger("ccs.log").removeHandler(log.logger.handlers[0])
    assert log.dropped == dropped
    assert f"{dropped} lines of the log were dropped" in [line["message"] for line in seen][-1]
    assert len(seen) - 1 == sent - dropped
    log.logger.warning("after")
    log.writer.flush()
    assert [line["message"] for line in log.read()] == ["after"]


def test_a_flush_gives_up_and_a_second_one_at_once(log: Log) -> None:
    for _ in range(100):
        log.logger.warning("x" * 1000)
    began = monotonic()
    log.writer.flush()
    assert 0.4 < monotonic() - began < 10
    began = monotonic()
    for _ in range(100):
        log.writer.flush()
    assert monotonic() - began < 10


def test_a_reader_that_has_gone_is_no_reason_to_fail(log: Log) -> None:
    log.reader.close()
    log.logger.warning("lost")
    wait_until(lambda: log.dropped == 1)


def test_a_pipe_that_others_made_non_blocking_is_written_whole(log: Log) -> None:
    os.set_blocking(log.write_end, False)
    for number in range(200):
        log.logger.warning("%d %s", number, "x" * 1000)
    seen: list[dict[str, Any]] = []
    while len(seen) < 200:
        seen += log.read()
    assert [int(line["message"].split()[0]) for line in seen] == list(range(200))


def test_a_forked_process_writes_its_own_lines_alone(log: Log) -> None:
    """Also where the fork comes while other threads log."""
    seen: list[str] = []

    def keep_logging() -> None:
        while seen.count("child") < 5:
            log.logger.warning("parent")

    def keep_reading() -> None:
        while seen.count("child") < 5:
            seen.extend(line["message"] for line in log.read())

    threads = [Thread(target=work) for work in (keep_logging, keep_logging, keep_reading)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        pid = os.fork()
        if not pid:
            log.logger.warning("child")
            log.writer.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    for thread in threads:
        thread.join()
    assert set(seen) == {"parent", "child"}
