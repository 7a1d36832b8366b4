"""Creates, reads and cancels jobs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Text, cast, func, insert, literal, select, tuple_
from sqlalchemy.dialects.postgresql import JSON

from ccs_server.domain.credentials import new_id
from ccs_server.domain.errors import Conflict, LimitReached, NotFound
from ccs_server.store import audit
from ccs_server.store.audit import Action, By
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.operations.idempotency import Once, run_once
from ccs_server.store.tables import job

MAX_JOBS = 100
"""The maximum number of jobs of an account that have not ended."""

KEEP_DAYS = 395
"""The time for which a job that has ended is kept."""

PAGE = 100

# Ends job $2 of account $1 as $3, by $4. $5 is the run that has it; NULL for a job of any run. No row: it has
# ended, or another run has it.
#
# What could tell what it was about goes in this transaction. Readers of the change log are told how many of the events
# of an erasure there have been in each namespace, because these events do not stay.
END = Statement.of(
    "job_end",
    f"""
    WITH ending AS MATERIALIZED (
        SELECT j.id, j.position FROM job j
        WHERE j.account = $1 AND j.id = $2 AND j.due_at IS NOT NULL
            AND ($5::text IS NULL OR j.holder = $5::text)
        FOR UPDATE
    ), ended AS (
        UPDATE job j
        SET state = $3, finished_at = statement_timestamp(), request = NULL, position = NULL, holder = NULL,
            due_at = NULL, purge_at = statement_timestamp() + interval '{KEEP_DAYS} days',
            total = CASE WHEN $3 = 'done' THEN j.examined ELSE j.total END
        WHERE j.account = $1 AND j.id = (SELECT id FROM ending)
        RETURNING j.*
    ), told AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, actor, keep_seconds, value, erasure)
        SELECT $1, n.id, n.name, '', '', 'erasure.done', clock_timestamp(), nullif($4::text, ''),
            coalesce((n.settings->>'keepChanges')::integer, 604800), erased.value, $2
        FROM (
            SELECT e.key::bigint AS id, e.value FROM ending, json_each(coalesce(ending.position->'erased', '{{}}')) AS e
        ) AS erased CROSS JOIN LATERAL (
            SELECT n.id, n.name, n.settings FROM namespace n
            WHERE n.account = $1 AND n.id = erased.id AND n.features & 1 = 1
        ) AS n
    ), audited AS (
        INSERT INTO audit (account, action, subject, actor, details)
        SELECT $1, 'job.ended', $2, $4, json_build_object(
            'kind', kind, 'state', state, 'reference', reference, 'dry_run', is_dry_run,
            'sessions', sessions, 'properties', properties, 'changes', changes)
        FROM ended
    )
    SELECT count(*) FROM ended
    """,
)


class NewJob(NamedTuple):
    """What a job is created with.

    Attributes:
        kind: what is done: `erase` or `delete`.
        request: to what, as JSON.
        reference: what the client calls it.
        is_dry_run: whether it only counts.
    """

    kind: str
    request: bytes
    reference: str = ""
    is_dry_run: bool = False


@dataclass(frozen=True)
class Job:
    """A job, without what it is about; `actor` is who has created it, as in `audit.By`."""

    id: str
    kind: str
    state: str
    reference: str
    actor: str
    is_dry_run: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    examined: int
    total: int
    sessions: int
    properties: int
    changes: int


_COLUMNS = tuple(job.c[name] for name in Job.__dataclass_fields__)


def _read(row: Row[Any]) -> Job:
    return Job(**row._asdict())


def create_job(
    database: Database, account: str, actor: str, new: NewJob, once: Once[Job] | None = None
) -> Job:
    """Creates a job, which begins soon.

    Raises:
        LimitReached: too many jobs of the account have not ended.
        Replay: the request of `once` has been answered before.
        KeyReused: its key was used for another request.
        Conflict: its first try is still running.
    """

    def make(connection: Connection) -> Job:
        waiting = select(func.count()).where(job.c.account == account, job.c.due_at.is_not(None))
        if (connection.scalar(waiting) or 0) >= MAX_JOBS:
            raise LimitReached(
                f"The account has {MAX_JOBS} jobs that have not ended; wait, or cancel one."
            )
        return insert_job(connection, account, actor, new)

    made = run_once(database, once, make)
    audit.log(By(account, actor), Action.JOB_CREATED, made.id)
    return made


def insert_job(connection: Connection, account: str, actor: str, new: NewJob) -> Job:
    """Creates a job in a transaction, with its line in the audit."""
    row = {
        "account": account,
        "id": new_id(),
        "kind": new.kind,
        "reference": new.reference,
        "actor": actor,
        "is_dry_run": new.is_dry_run,
        "request": cast(literal(new.request.decode(), Text), JSON),
    }
    made = _read(connection.execute(insert(job).values(row).returning(*_COLUMNS)).one())
    details = {"kind": new.kind, "reference": new.reference, "dry_run": new.is_dry_run}
    audit.record(connection, By(account, actor), Action.JOB_CREATED, [made.id], details)
    return made


def read_job(database: Database, account: str, id_: str) -> Job:
    """Returns a job.

    Raises:
        NotFound: there is none of this id.
    """
    found = select(*_COLUMNS).where(job.c.account == account, job.c.id == id_)
    with database.begin() as connection:
        row = connection.execute(found).one_or_none()
    if row is None:
        raise NotFound("There is no such job.")
    return _read(row)


def list_jobs(
    database: Database, account: str, before: tuple[datetime, str] | None = None
) -> list[Job]:
    """Returns at most PAGE jobs, the newest first: those that were created before this one."""
    columns = job.c
    listed = select(*_COLUMNS).where(columns.account == account)
    if before is not None:
        listed = listed.where(tuple_(columns.created_at, columns.id) < before)
    listed = listed.order_by(columns.created_at.desc(), columns.id.desc()).limit(PAGE)
    with database.begin() as connection:
        return [_read(row) for row in connection.execute(listed)]


def cancel_job(database: Database, account: str, id_: str, actor: str) -> None:
    """Ends a job. What it has done stays done.

    Raises:
        NotFound: there is none of this id.
        Conflict: it has ended before.
    """
    if not end_job(database, account, id_, state="canceled", actor=actor):
        state = read_job(database, account, id_).state
        raise Conflict(f"The job has ended before: it is {state}.")


def end_job(  # noqa: PLR0913 - which job, and how it ends
    database: Database, account: str, id_: str, *, state: str, actor: str, holder: str | None = None
) -> bool:
    """Ends a job, of any run unless `holder` names one; returns whether it has not ended before."""
    result = database.execute(
        END,
        account.encode(),
        id_.encode(),
        state.encode(),
        actor.encode(),
        holder.encode() if holder is not None else None,
    )
    has_ended = result.get_value(0, 0) == b"1"
    if has_ended:
        audit.log(By(account, actor), Action.JOB_ENDED, id_)
    return has_ended
