"""Jobs: erasing, and deleting many sessions (docs/extension.md, "Jobs")."""

from collections.abc import Sequence
from datetime import datetime

from flask import Response
from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import idempotency
from ccs_server.api.ext import job_schemas as schemas
from ccs_server.api.ext.blueprint import ACCOUNT, jobs_blueprint
from ccs_server.api.ext.queries import check_no_parameters, read_parameters
from ccs_server.api.openapi import path_parameter
from ccs_server.api.services import actor, database
from ccs_server.domain.access import Scope
from ccs_server.domain.cursors import new_cursor, position_of
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import (
    MAX_JOB_NAMESPACES,
    MAX_MATCH_LENGTH,
    MAX_MATCHES,
    MAX_REFERENCE,
)
from ccs_server.domain.names import check_label, check_namespace, check_session_prefix
from ccs_server.domain.times import utc
from ccs_server.domain.where import read_where
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import decode_json, read_body, storable
from ccs_server.http.responses import json_response, no_content
from ccs_server.store.jobs import resource
from ccs_server.store.jobs.deletion import DeleteRequest
from ccs_server.store.jobs.erasure import EraseRequest
from ccs_server.store.jobs.matching import Match
from ccs_server.store.jobs.resource import Job, NewJob
from ccs_server.store.operations.idempotency import Answer, Once

_JOB_ID = path_parameter("job_id", {"type": "string"}, "a1B2c3D4e5F6", "The id of the job.")

_body: Decoder[schemas.JobBody] = Decoder(schemas.JobBody)


@jobs_blueprint.route("/<account>/jobs", parameters=[ACCOUNT])
class Jobs(Resource):
    """The jobs of an account."""

    @jobs_blueprint.doc(**schemas.create_job_docs())
    @idempotency.replaying
    def post(self, account: str) -> Response:
        """Create a job: an erasure, or a deletion of sessions.

        Needs the scope `admin`. The job begins within a second or so, and any instance carries it on.
        """
        _check_admin()
        body = read_body()
        new = _new_job(decode_json(_body, storable(body, wrapping=2)))
        request = idempotency.once(body)
        once: Once[Job] | None = None
        if request:
            once = Once(request, lambda made: Answer(202, _job(made)))
        made = resource.create_job(database(), account, actor(), new, once)
        response = json_response(_job(made), 202)
        response.headers["Location"] = f"/ext/v1/{account}/jobs/{made.id}"
        return response

    @jobs_blueprint.doc(**schemas.list_jobs_docs())
    def get(self, account: str) -> Response:
        """List the jobs, the newest first.

        Needs the scope `admin`. A job that has ended is kept for 395 days.
        """
        current_account().access.require(Scope.ADMIN)
        after = read_parameters("after").get("after")
        query = ("jobs", account)
        before = None if after is None else _place(after, query)
        jobs = resource.list_jobs(database(), account, before)
        page = schemas.JobsResponse(Raw(b"[" + b",".join(map(_job, jobs)) + b"]"))
        if len(jobs) == resource.PAGE:
            page.next = new_cursor(query, f"{jobs[-1].created_at.isoformat()} {jobs[-1].id}")
        return json_response(encode(page))


@jobs_blueprint.route("/<account>/jobs/<job_id>", parameters=[ACCOUNT, _JOB_ID])
class OneJob(Resource):
    """One job."""

    @jobs_blueprint.doc(**schemas.read_job_docs())
    def get(self, account: str, job_id: str) -> Response:
        """Get a job and its progress.

        Needs the scope `admin`.
        """
        _check_admin()
        return json_response(_job(resource.read_job(database(), account, job_id)))

    @jobs_blueprint.doc(**schemas.cancel_job_docs())
    def delete(self, account: str, job_id: str) -> Response:
        """Cancel a job.

        Needs the scope `admin`. What it has done stays done. A job that has ended is 409.
        """
        _check_admin()
        resource.cancel_job(database(), account, job_id, actor())
        return no_content()


def _check_admin() -> None:
    current_account().access.require(Scope.ADMIN)
    check_no_parameters()


def _place(cursor: str, query: Sequence[str]) -> tuple[datetime, str]:
    created_at, _, id_ = position_of(cursor, query).partition(" ")
    try:
        return datetime.fromisoformat(created_at), id_
    except ValueError:
        raise InvalidInput("after must be the next of an earlier response.", "after") from None


def _new_job(given: schemas.JobBody) -> NewJob:
    """The job that a body asks for.

    Raises:
        InvalidInput: a member breaks a rule.
    """
    check_label(given.reference, "reference")
    if len(given.reference) > MAX_REFERENCE:
        raise InvalidInput(f"A reference may have {MAX_REFERENCE} characters.", "reference")
    if isinstance(given, schemas.EraseJobBody):
        kind, request = "erase", encode(_erasure(given))
    else:
        kind, request = "delete", encode(_deletion(given))
    return NewJob(kind, request, given.reference, given.dryRun)


def _erasure(given: schemas.EraseJobBody) -> EraseRequest:
    match = Match(
        _strings(given.match.sessionId, "match.sessionId"),
        _strings(given.match.name, "match.name"),
        _strings(given.match.value, "match.value"),
        is_part=given.contains,
    )
    if not (match.sessions or match.names or match.values):
        raise InvalidInput("Give match what to look for: sessionId, name or value.", "match")
    namespaces = None
    if given.ns is not UNSET:
        namespaces = given.ns
        if not 1 <= len(namespaces) <= MAX_JOB_NAMESPACES:
            raise InvalidInput(
                f"Give ns 1 to {MAX_JOB_NAMESPACES} namespaces, or leave it out for all.", "ns"
            )
        for namespace in namespaces:
            check_namespace(namespace, "ns")
    return EraseRequest(match, given.scope == "session", namespaces)


def _strings(given: Sequence[str] | UnsetType, field: str) -> Sequence[str]:
    if given is UNSET:
        return ()
    if not 1 <= len(given) <= MAX_MATCHES:
        raise InvalidInput(f"Give {field} 1 to {MAX_MATCHES} strings.", field)
    # An empty string is a part of everything.
    if not all(1 <= len(each) <= MAX_MATCH_LENGTH for each in given):
        raise InvalidInput(
            f"Each string of {field} must have 1 to {MAX_MATCH_LENGTH} characters.", field
        )
    return given


def _deletion(given: schemas.DeleteJobBody) -> DeleteRequest:
    check_namespace(given.ns, "ns")
    check_session_prefix(given.sessionPrefix)
    if not given.where and not given.sessionPrefix:
        raise InvalidInput(
            "Give where or sessionPrefix; to delete all of a namespace, delete the namespace.",
            "where",
        )
    where = read_where({name: bytes(text) for name, text in given.where.items()})
    return DeleteRequest(given.ns, where.conditions, given.sessionPrefix)


def _job(job: Job) -> bytes:
    progress = schemas.JobProgress(
        job.examined, job.total, job.sessions, job.properties, job.changes
    )
    return encode(
        schemas.JobResponse(
            job.id,
            job.kind,  # type: ignore[arg-type]
            job.state,  # type: ignore[arg-type]
            job.reference,
            job.is_dry_run,
            job.actor.removeprefix("key:"),
            utc(job.created_at),
            utc(job.started_at) if job.started_at else None,
            utc(job.finished_at) if job.finished_at else None,
            progress,
        )
    )
