"""Bodies and responses of jobs, and their documentation."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.ext.find_schemas import Conditions, SessionPrefix
from ccs_server.api.ext.idempotency import PARAMETER
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.domain.limits import (
    MAX_JOB_NAMESPACES,
    MAX_MATCH_LENGTH,
    MAX_MATCHES,
    MAX_REFERENCE,
)

JobKind = Literal["erase", "delete", "index"]
JobState = Literal["queued", "running", "done", "failed", "canceled"]


_String = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_MATCH_LENGTH})]
_MOST = Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_MATCHES})


class EraseMatch(Struct, forbid_unknown_fields=True):
    """What is looked for; what is like any of these strings is erased."""

    sessionId: (
        Annotated[list[_String], _MOST, Meta(description="The ids of sessions.")] | UnsetType
    ) = UNSET
    name: (
        Annotated[list[_String], _MOST, Meta(description="The names of properties.")] | UnsetType
    ) = UNSET
    value: (
        Annotated[
            list[_String],
            _MOST,
            Meta(description="Strings in values, however deep, and the names of members."),
        ]
        | UnsetType
    ) = UNSET


class _JobBody(Struct, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """What every job may have."""

    reference: Annotated[
        str,
        Meta(
            description="What you call it, to find it again; it is kept, so it should name nobody.",
            extra_json_schema={
                "maxLength": MAX_REFERENCE,
                "pattern": docs.NAME_SCHEMA["pattern"].replace("+$", "*$"),
            },
        ),
    ] = ""
    dryRun: Annotated[bool, Meta(description="Whether only to count what would go.")] = False


class EraseJobBody(_JobBody, tag="erase", kw_only=True):
    """Erases what is stored of a person or a thing, with its history."""

    match: Annotated[EraseMatch, Meta(extra_json_schema={"minProperties": 1})]
    contains: Annotated[
        bool, Meta(description="Whether a part of an id, a name or a string is enough.")
    ] = False
    scope: Annotated[
        Literal["property", "session"],
        Meta(
            description="What goes if a name or a value matches: the property, or its whole session."
        ),
    ] = "property"
    ns: (
        Annotated[
            list[Annotated[str, Meta(extra_json_schema=docs.NAMESPACE_SCHEMA)]],
            Meta(
                description="The only namespaces to look in.",
                extra_json_schema={"minItems": 1, "maxItems": MAX_JOB_NAMESPACES},
            ),
        ]
        | UnsetType
    ) = UNSET


class DeleteJobBody(_JobBody, tag="delete", kw_only=True):
    """Deletes the sessions of a namespace that `find` finds; `where` or `sessionPrefix` is needed."""

    ns: Annotated[str, Meta(extra_json_schema=docs.NAMESPACE_SCHEMA)]
    where: Conditions = {}
    sessionPrefix: SessionPrefix = ""


JobBody = EraseJobBody | DeleteJobBody

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class JobProgress(Struct):
    """What a job has done until now or, if it is a dry run, found."""

    examined: Annotated[
        int,
        Meta(description="Properties and changes that were examined; of a deletion, sessions."),
    ]
    total: Annotated[int, Meta(description="About how many there are to examine.")]
    sessions: Annotated[int, Meta(description="Whole sessions.")]
    properties: int
    changes: Annotated[int, Meta(description="What the change log had.")]


class JobResponse(Struct):
    """A job. What it looks for is in no response, and not kept once it has ended."""

    id: str
    kind: JobKind
    state: JobState
    reference: str
    dryRun: bool
    by: Annotated[
        str, Meta(description="The credential that created it: the id of a key, or a user name.")
    ]
    createdAt: Moment
    startedAt: Annotated[
        Moment | None,
        Meta(description="What was saved before this moment is found; null if it is queued."),
    ]
    finishedAt: Moment | None
    progress: JobProgress


class JobsResponse(Struct, omit_defaults=True):
    """A page of jobs, the newest first."""

    jobs: Annotated[
        Raw,
        Meta(
            extra_json_schema={
                "type": "array",
                "items": {"$ref": "#/components/schemas/JobResponse"},
            }
        ),
    ]
    next: (
        Annotated[str, Meta(description="Where the next page begins; left out on the last one.")]
        | UnsetType
    ) = UNSET


_ERASE = {
    "kind": "erase",
    "match": {"value": ["+49301234567"], "sessionId": ["+49301234567"]},
    "reference": "ticket-17",
}
_DELETE = {"kind": "delete", "ns": "myNamespace", "where": {"status": "closed"}}
_JOB = {
    "id": "a1B2c3D4e5F6",
    "kind": "erase",
    "state": "running",
    "reference": "ticket-17",
    "dryRun": False,
    "by": "a1B2c3D4e5F6",
    "createdAt": "2021-02-26T02:46:38.220Z",
    "startedAt": "2021-02-26T02:46:38.720Z",
    "finishedAt": None,
    "progress": {"examined": 5000, "total": 20000, "sessions": 1, "properties": 7, "changes": 9},
}


def create_job_docs() -> dict[str, Any]:
    """The documentation of POST `/jobs`."""
    accepted = docs.response("The job.", JobResponse, job=_JOB)["200"]
    accepted["headers"] = {
        "Location": {"schema": {"type": "string"}, "description": "The path of the job."}
    }
    return {
        "operationId": "createJob",
        "parameters": [PARAMETER],
        "requestBody": docs.body(
            JobBody,
            erase=_ERASE,
            session=_ERASE | {"contains": True, "scope": "session", "dryRun": True},
            delete=_DELETE,
        ),
        "responses": {"202": accepted} | docs.errors(400, 401, 403, 409, 413, 415, 422),
    }


def list_jobs_docs() -> dict[str, Any]:
    """The documentation of GET `/jobs`."""
    after = {
        "name": "after",
        "in": "query",
        "schema": {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$"},
        "description": "The `next` of the page before.",
        "examples": {"none": {"summary": "Leave it out for the first page."}},
    }
    return {
        "operationId": "listJobs",
        "parameters": [after],
        "responses": docs.response("A page.", JobsResponse, jobs={"jobs": [_JOB]})
        | docs.errors(400, 401, 403),
    }


def read_job_docs() -> dict[str, Any]:
    """The documentation of GET `/jobs/{id}`."""
    return {
        "operationId": "getJob",
        "responses": docs.response("The job.", JobResponse, job=_JOB)
        | docs.errors(400, 401, 403, 404),
    }


def cancel_job_docs() -> dict[str, Any]:
    """The documentation of DELETE `/jobs/{id}`."""
    return {
        "operationId": "cancelJob",
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403, 404, 409),
    }
