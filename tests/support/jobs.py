"""Jobs in tests: created in the store, and carried on in this process."""

from typing import Any

from msgspec.json import encode
from sqlalchemy import text, update

from ccs_server.domain.where import read_where
from ccs_server.store.database import Database
from ccs_server.store.jobs.deletion import DeleteRequest
from ccs_server.store.jobs.erasure import EraseRequest
from ccs_server.store.jobs.matching import Match
from ccs_server.store.jobs.resource import Job, NewJob, create_job, insert_job, read_job
from ccs_server.store.jobs.work import carry_on
from ccs_server.store.tables import job as table
from tests.support.waiting import wait_until

BY = "key:k1"


def finished(database: Database, account: str, job: Job) -> Job:
    """Carries the job on, unless a service does, and returns it when it has ended."""

    def has_ended() -> bool:
        carry_on(database)
        return read_job(database, account, job.id).finished_at is not None

    wait_until(has_ended)
    return read_job(database, account, job.id)


def new_erasure(
    database: Database,
    account: str,
    *,
    takes_sessions: bool = False,
    namespaces: list[str] | None = None,
    is_dry_run: bool = False,
    **match: Any,
) -> Job:
    """Creates an erasure; `match` are the attributes of a `Match`."""
    request = EraseRequest(Match(**match), takes_sessions, namespaces)
    new = NewJob("erase", encode(request), "ticket-17", is_dry_run)
    return create_job(database, account, BY, new)


def erased(database: Database, account: str, **terms: Any) -> Job:
    """Erases, and returns the job when it is done."""
    job = finished(database, account, new_erasure(database, account, **terms))
    assert job.state == "done"
    return job


def new_deletion(
    database: Database, account: str, *, prefix: str = "", is_dry_run: bool = False, **where: Any
) -> Job:
    """Creates a deletion of sessions of the namespace `ns`."""
    conditions = read_where({name: encode(value) for name, value in where.items()}).conditions
    request = DeleteRequest("ns", conditions, prefix)
    new = NewJob("delete", encode(request), is_dry_run=is_dry_run)
    return create_job(database, account, BY, new)


def held_erasure(database: Database, account: str, **terms: Any) -> Job:
    """Creates an erasure that nobody carries on."""
    request = EraseRequest(Match(**terms))
    new = NewJob("erase", encode(request), "ticket-17")
    with database.begin() as connection:
        # In one transaction, so that no service takes it in between.
        made = insert_job(connection, account, BY, new)
        held = update(table).where(table.c.account == account, table.c.id == made.id)
        connection.execute(held.values(due_at=text("'infinity'")))
    return made
