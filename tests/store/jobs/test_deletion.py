"""A deletion of the sessions that are found: which, as what, and what others change meanwhile."""

import json
from typing import Any

import pytest
from msgspec.json import encode

from ccs_server.domain.errors import Leased
from ccs_server.store import saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.jobs import deletion, taking
from ccs_server.store.jobs.deletion import Deletion
from ccs_server.store.jobs.resource import Job, read_job
from ccs_server.store.jobs.run import claim_next
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import delete_namespace
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.run import run
from ccs_server.store.reading import read_all
from tests.support.change_log import logged_events, told
from tests.support.jobs import finished, new_deletion


@pytest.fixture(autouse=True)
def no_other_jobs(quiet: Database) -> None:
    carry_on(quiet)


def save(database: Database, account: str, session: str, **properties: Any) -> None:
    saving.save(database, DocumentKey(account, "ns", session), encode(properties))


def left(database: Database, account: str, *session_ids: str) -> set[str]:
    """Those of the sessions that have properties."""
    return {
        each
        for each in session_ids
        if json.loads(read_all(database, DocumentKey(account, "ns", each)))
    }


def deleted(database: Database, account: str, **terms: Any) -> Job:
    job = finished(database, account, new_deletion(database, account, **terms))
    assert job.state == "done"
    return job


def test_it_deletes_sessions_as_if_each_was_deleted(quiet: Database, account: str) -> None:
    change_settings(quiet, account, "ns", changes="values")
    for session, status in {"s1": "closed", "s2": "open", "t1": "closed"}.items():
        save(quiet, account, session, status=status, b=1)
        sessions.set_session_ttl(quiet, DocumentKey(account, "ns", session), 60)
    run(quiet, Lease(document=DocumentKey(account, "ns", "s1"), owner="bot", seconds=60))
    job = deleted(quiet, account, status="closed", prefix="s")
    assert left(quiet, account, "s1", "s2", "t1") == {"s2", "t1"}
    assert (job.sessions, job.properties, job.changes, job.examined) == (1, 2, 0, 2)
    ttls = json.loads(sessions.list_session_ttls(quiet, account, "ns"))
    assert [each["sessionId"] for each in ttls] == ["s2", "t1"]
    events = logged_events(quiet, account)
    assert sorted(told(events[6:], "type", "session", "name", "by", "erasure")) == [
        ("deleted", "s1", "b", "k1", None),
        ("deleted", "s1", "status", "k1", None),
    ]
    # The lease survives, as it survives DELETE of the session.
    lease = Lease(document=DocumentKey(account, "ns", "s1"), owner="other", seconds=60)
    with pytest.raises(Leased):
        run(quiet, lease)


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_it_goes_through_more_than_a_step(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch, is_dry_run: bool
) -> None:
    monkeypatch.setattr(deletion, "LOOK_LIMIT", 3)
    monkeypatch.setattr(deletion, "FOUND_AT_ONCE", 2)
    monkeypatch.setattr(taking, "BATCH", 2)
    ids = [f"s{number}" for number in range(10)]
    for number, session in enumerate(ids):
        save(quiet, account, session, a=number % 5 > 1, b=1, c=1)
    job = deleted(quiet, account, a=True, is_dry_run=is_dry_run)
    assert (job.sessions, job.properties, job.examined, job.total) == (6, 18, 10, 10)
    kept = set(ids) if is_dry_run else {"s0", "s1", "s5", "s6"}
    assert left(quiet, account, *ids) == kept


def test_a_session_that_is_not_found_any_more_stays(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in ("s1", "s2", "s2x"):
        save(quiet, account, session, status="closed")
    original = taking.lock_session

    def reopen_first(*arguments: Any) -> None:
        if arguments[-1] == "s2":
            monkeypatch.setattr(taking, "lock_session", original)
            save(quiet, account, "s2", status="open")
        original(*arguments)

    monkeypatch.setattr(taking, "lock_session", reopen_first)
    assert deleted(quiet, account, status="closed").sessions == 2
    assert left(quiet, account, "s1", "s2", "s2x") == {"s2"}


def test_after_a_kill_a_session_is_deleted_to_its_end(
    quiet: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", 2)
    save(quiet, account, "s1", a=1, b=1, c=1, z=1)
    new_deletion(quiet, account, a=1)
    claim = claim_next(quiet)
    assert claim
    original = taking.lock_session
    locked = 0

    def die_later(*arguments: Any) -> None:
        nonlocal locked
        locked += 1
        if locked == 2:
            raise ZeroDivisionError
        original(*arguments)

    monkeypatch.setattr(taking, "lock_session", die_later)
    with pytest.raises(ZeroDivisionError):
        Deletion(claim).step()
    assert json.loads(read_all(quiet, DocumentKey(account, "ns", "s1"))) == {"c": 1, "z": 1}
    claim.release()
    job = finished(quiet, account, read_job(quiet, account, claim.id))
    assert left(quiet, account, "s1") == set()
    assert (job.sessions, job.properties) == (1, 4)


def test_what_cannot_be_found_is_not_deleted(quiet: Database, account: str) -> None:
    save(quiet, account, "s1", a=1)
    assert deleted(quiet, account, a={"$gt": 2, "$lt": 1}).sessions == 0
    assert left(quiet, account, "s1") == {"s1"}
    delete_namespace(quiet, account, "ns", "key:k1")
    assert deleted(quiet, account, a=1).sessions == 0
