"""Jobs as records: who may have them, how they end, and what is kept of them."""

import pytest
from sqlalchemy import select

from ccs_server.domain.errors import Conflict, LimitReached, NotFound
from ccs_server.store.audit import read_audit
from ccs_server.store.database import Database
from ccs_server.store.jobs import resource
from ccs_server.store.jobs.resource import cancel_job, list_jobs, read_job
from ccs_server.store.purge import purge
from ccs_server.store.tables import job
from tests.support.clock import Clock
from tests.support.jobs import BY, finished, new_erasure

DAY = 86_400


def test_a_job_that_has_ended_keeps_nothing_that_tells_what_it_was_about(
    quiet: Database, account: str
) -> None:
    made = new_erasure(quiet, account, values=["+49301234567"])
    done = finished(quiet, account, made)
    with quiet.begin() as connection:
        row = connection.execute(select(job).where(job.c.account == account)).one()
    kept = {name for name, value in row._asdict().items() if value not in {None, 0}}
    assert kept == {
        "account", "id", "kind", "state", "reference", "actor", "created_at", "started_at", "finished_at", "purge_at",
    }  # fmt: skip
    assert (done.state, done.reference, done.actor) == ("done", "ticket-17", BY)
    assert made.started_at is None
    assert done.started_at
    assert done.finished_at
    assert made.created_at <= done.started_at <= done.finished_at


def test_it_is_kept_for_395_days(quiet: Database, quiet_clock: Clock, account: str) -> None:
    made = finished(quiet, account, new_erasure(quiet, account, values=["x"]))
    quiet_clock.advance(seconds=395 * DAY - 60)
    purge(quiet)
    assert read_job(quiet, account, made.id) == made
    quiet_clock.advance(seconds=120)
    assert purge(quiet).jobs >= 1
    with pytest.raises(NotFound):
        read_job(quiet, account, made.id)


def test_its_creation_and_its_end_are_audited(quiet: Database, account: str) -> None:
    made = finished(quiet, account, new_erasure(quiet, account, values=["x"]))
    canceled = new_erasure(quiet, account, values=["x"])
    cancel_job(quiet, account, canceled.id, "key:k2")
    lines = [(line.action, line.subject, line.actor) for line in read_audit(quiet, account)]
    assert lines == [
        ("job.created", made.id, BY),
        ("job.ended", made.id, BY),
        ("job.created", canceled.id, BY),
        ("job.ended", canceled.id, "key:k2"),
    ]
    _, ended, *_ = read_audit(quiet, account)
    assert ended.details == {
        "kind": "erase", "state": "done", "reference": "ticket-17", "dry_run": False,
        "sessions": 0, "properties": 0, "changes": 0,
    }  # fmt: skip


def test_a_job_ends_once(quiet: Database, account: str) -> None:
    made = new_erasure(quiet, account, values=["x"])
    cancel_job(quiet, account, made.id, BY)
    assert read_job(quiet, account, made.id).state == "canceled"
    with pytest.raises(Conflict):
        cancel_job(quiet, account, made.id, BY)
    done = finished(quiet, account, new_erasure(quiet, account, values=["x"]))
    with pytest.raises(Conflict):
        cancel_job(quiet, account, done.id, BY)


def test_another_accounts_job_is_not_there(quiet: Database, account: str) -> None:
    made = new_erasure(quiet, account, values=["x"])
    for use in (
        lambda: read_job(quiet, "another", made.id),
        lambda: cancel_job(quiet, "another", made.id, BY),
    ):
        with pytest.raises(NotFound):
            use()
    assert list_jobs(quiet, "another") == []
    finished(quiet, account, made)


def test_jobs_are_listed_newest_first_in_pages(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "PAGE", 2)
    ids = [new_erasure(quiet, account, values=["x"]).id for _ in range(5)]
    listed = list_jobs(quiet, account)
    found = []
    while listed:
        found += listed
        listed = list_jobs(quiet, account, (found[-1].created_at, found[-1].id))
    assert [each.id for each in found] == ids[::-1]
    for id_ in ids:
        cancel_job(quiet, account, id_, BY)


def test_an_account_has_a_limited_number_of_jobs(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "MAX_JOBS", 1)
    made = new_erasure(quiet, account, values=["x"])
    with pytest.raises(LimitReached):
        new_erasure(quiet, account, values=["x"])
    cancel_job(quiet, account, made.id, BY)
    finished(quiet, account, new_erasure(quiet, account, values=["x"]))
