"""How jobs are carried on: in turns, by one run at a time, and by another after a kill."""

import logging

import pytest

from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.jobs import erasure, run
from ccs_server.store.jobs.erasure import Erasure
from ccs_server.store.jobs.resource import cancel_job, end_job, read_job
from ccs_server.store.jobs.run import CLAIM_SECONDS, Claim, Lost, claim_next, take_turn
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.reading import read_all
from ccs_server.store.saving import save
from tests.support.clock import Clock
from tests.support.jobs import BY, finished, new_erasure


@pytest.fixture(autouse=True)
def no_other_jobs(quiet: Database) -> None:
    carry_on(quiet)


def claimed(database: Database) -> Claim:
    claim = claim_next(database)
    assert claim
    return claim


def test_one_run_has_a_job_at_a_time(quiet: Database, account: str) -> None:
    new_erasure(quiet, account, values=["x"])
    claim = claimed(quiet)
    assert claim_next(quiet) is None
    claim.release()
    assert claimed(quiet).id == claim.id
    assert end_job(quiet, account, claim.id, state="failed", actor=BY)


def test_after_a_kill_another_run_goes_on_where_it_was(
    quiet: Database, quiet_clock: Clock, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "EXAMINED_AT_ONCE", 2)
    for number in range(6):
        save(quiet, DocumentKey(account, "ns", f"s{number}"), b'{"a": "x", "b": 1}')
    new_erasure(quiet, account, values=["x"])
    killed = Erasure(claimed(quiet))
    for _ in range(3):
        killed.step()
    quiet_clock.advance(seconds=CLAIM_SECONDS - 1)
    assert claim_next(quiet) is None
    quiet_clock.advance(seconds=2)
    second = claimed(quiet)
    # The first one was only slow.
    with pytest.raises(Lost):
        killed.step()
    assert second.position
    assert b'"session":"s1"' in second.position
    second.release()
    job = finished(quiet, account, read_job(quiet, account, second.id))
    assert (job.properties, job.examined) == (6, 12)
    assert read_all(quiet, DocumentKey(account, "ns", "s0")) == b'{ "b" : 1 }'


def test_a_canceled_job_stops(quiet: Database, account: str) -> None:
    job = new_erasure(quiet, account, values=["x"])
    running = Erasure(claimed(quiet))
    running.step()
    cancel_job(quiet, account, job.id, BY)
    with pytest.raises(Lost):
        running.step()
    assert carry_on(quiet) == []


def test_jobs_take_turns(quiet: Database, account: str) -> None:
    jobs = [new_erasure(quiet, account, values=["x"]) for _ in range(2)]
    taken = []
    for _ in range(4):
        claim = claimed(quiet)
        taken.append(claim.id)
        claim.release()
    assert taken == [job.id for job in jobs] * 2


def test_a_turn_rests_as_long_as_it_worked_and_more() -> None:
    rests: list[float] = []

    def wait(seconds: float) -> bool:
        rests.append(seconds)
        return len(rests) == 3

    assert not take_turn(lambda: False, wait)
    assert len(rests) == 3
    assert all(0 < seconds < run.CLAIM_SECONDS for seconds in rests)
    assert not take_turn(lambda: False, lambda _: False, seconds=0)
    assert take_turn(lambda: True)


def test_a_run_that_is_stopped_lets_another_one_go_on_at_once(
    quiet: Database, account: str
) -> None:
    job = new_erasure(quiet, account, values=["x"])
    answers = iter([False, True, True])
    assert carry_on(quiet, lambda _: next(answers)) == []
    assert claimed(quiet).id == job.id


def test_a_fault_ends_the_job_and_the_log_does_not_tell_what_it_was_about(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(erasing: Erasure) -> bool:
        raise ZeroDivisionError(erasing._request.match.values)

    monkeypatch.setattr(Erasure, "step", fail)
    job = new_erasure(quiet, account, values=["+49301234567"])
    with caplog.at_level(logging.DEBUG):
        assert carry_on(quiet) == [("erase", "failed")]
    assert read_job(quiet, account, job.id).state == "failed"
    assert "ZeroDivisionError" in caplog.text
    assert "49301234567" not in caplog.text
