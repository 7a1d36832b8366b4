"""Erasures, deletions of sessions and their jobs, against the real server."""

from collections.abc import Iterator

import pytest

from ccs_sdk import (
    BadRequestError,
    ConflictError,
    ContextClient,
    InvalidArgumentError,
    Job,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
)
from ccs_server.store.database import Database
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.jobs import held_erasure
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

NUMBER = "+49301234567"


@pytest.fixture
def admin(admins: Account) -> Iterator[ContextClient]:
    """A client whose key has the scope `admin`."""
    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        yield client


def fill(admin: ContextClient) -> None:
    airline = admin.namespace("airline")
    airline.session("s1").update({"tel": NUMBER, "status": "closed"})
    airline.session("s2").update({"tel": {"home": [NUMBER]}, "status": "open"})
    airline.session(NUMBER).update({"status": "closed"})


def left(admin: ContextClient) -> dict[str, list[str]]:
    hits = admin.namespace("airline").find(fields=True)
    return {hit.session_id: sorted(hit.properties or {}) for hit in hits}


def test_a_person_is_erased(admin: ContextClient) -> None:
    fill(admin)
    seen: list[Job] = []
    job = admin.erase(value=[NUMBER], session_id=NUMBER, reference="T-17")
    done = job.wait(progress=seen.append)
    assert (done.kind, done.state, done.reference, done.dry_run) == ("erase", "done", "T-17", False)
    assert (done.progress.sessions, done.progress.properties) == (1, 3)
    assert done == seen[-1] == job.info == admin.jobs.get(job.id).info
    assert done.started_at
    assert done.finished_at
    assert done.created_at <= done.started_at <= done.finished_at
    assert left(admin) == {"s1": ["status"], "s2": ["status"]}


def test_a_dry_run_only_counts(admin: ContextClient) -> None:
    fill(admin)
    before = left(admin)
    terms = {"value": "4930", "contains": True, "scope": "session", "dry_run": True}
    done = admin.erase(**terms, namespaces="airline").wait()  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert (done.dry_run, done.progress.sessions, done.progress.properties) == (True, 2, 4)
    assert left(admin) == before
    assert admin.erase(**terms, namespaces=["other"]).wait().progress.sessions == 0  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_sessions_that_are_found_are_deleted(admin: ContextClient) -> None:
    fill(admin)
    airline = admin.namespace("airline")
    counted = airline.delete_sessions(where={"status": "closed"}, dry_run=True).wait()
    assert counted.progress.sessions == 2
    done = airline.delete_sessions(
        where={"status": "closed"}, prefix="s", reference="nightly"
    ).wait()
    assert (done.kind, done.reference, done.progress.sessions) == ("delete", "nightly", 1)
    assert left(admin).keys() == {"s2", NUMBER}
    with pytest.raises(BadRequestError, match="where or sessionPrefix"):
        airline.delete_sessions()


def test_progress_is_shown_on_standard_error(
    admin: ContextClient, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.erase(value=[NUMBER]).wait(progress=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "erase, done: 0 of about 0 examined, 0 sessions, 0 properties, 0 changes"


def test_jobs_are_listed_newest_first(admin: ContextClient) -> None:
    ids = [admin.erase(name="none").id for _ in range(2)]
    assert [job.id for job in admin.jobs.list()] == ids[::-1]


def test_a_job_is_canceled_and_waiting_for_it_fails(
    admin: ContextClient, admins: Account, database: Database
) -> None:
    job = admin.jobs.get(held_erasure(database, admins.id, values=["x"]).id)
    assert job.info.state == "queued"
    assert not job.info.has_ended
    assert job.cancel().state == "canceled"
    with pytest.raises(JobFailedError) as failure:
        job.wait()
    assert failure.value.job == job.info
    done = admin.erase(name="none")
    done.wait()
    with pytest.raises(ConflictError):
        done.cancel()


def test_a_job_is_made_and_canceled_once_though_responses_are_lost(
    proxy: FaultProxy, admins: Account, database: Database
) -> None:
    held = held_erasure(database, admins.id, values=["x"])
    with ContextClient(proxy.url, admins.id, api_key=admins.key) as client:
        job = client.jobs.get(held.id)
        proxy.faults.append(faults.reset_after)
        assert job.cancel().state == "canceled"
        proxy.faults.append(faults.reset_after)
        made = client.erase(name="none")
        assert [each.id for each in client.jobs.list()] == [made.id, held.id]


def test_what_cannot_be_meant_is_refused(admin: ContextClient, client: ContextClient) -> None:
    with pytest.raises(InvalidArgumentError):
        admin.erase()
    with pytest.raises(InvalidArgumentError):
        admin.erase(value=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgumentError):
        admin.erase(name="none").wait(progress=1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(NotFoundError):
        admin.jobs.get("none")
    with pytest.raises(PermissionDeniedError):
        client.erase(value="x")
