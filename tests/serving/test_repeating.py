"""Threads of a worker that do something again and again."""

from threading import Event

import pytest

from ccs_server.serving.repeating import repeat
from tests.support.waiting import wait_until


def test_it_is_done_at_once_and_again_until_the_end() -> None:
    calls: list[int] = []
    stop = Event()
    repeat(lambda: calls.append(len(calls)), seconds=0.001, stop=stop, name="test")
    wait_until(lambda: len(calls) >= 3)
    stop.set()
    assert calls[:3] == [0, 1, 2]


def test_it_goes_on_after_failures_and_the_first_of_a_row_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[int] = []
    stop = Event()

    def work() -> None:
        calls.append(len(calls))
        if len(calls) in {1, 2, 3, 5}:
            raise OSError("no space left")

    repeat(work, seconds=0.001, stop=stop, name="test")
    wait_until(lambda: len(calls) >= 7)
    stop.set()
    logged = [record for record in caplog.records if record.name == "ccs.test"]
    message = "The thread test has failed; it tries again."
    assert [(each.levelname, each.message) for each in logged] == [("ERROR", message)] * 2
    assert "no space left" in caplog.text
