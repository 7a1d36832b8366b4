"""Bodies and responses of the extension, and their documentation. The fields are called as on the wire.

The OpenAPI document's schemas are generated from these types. Their docstrings and what `Meta` says are for that
document.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.consistency import CONSISTENCY
from ccs_server.api.types import PropertyName
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.domain.limits import MAX_PER_PAGE, PER_PAGE
from ccs_server.domain.where import MAX_NAMES, MAX_VALUES

BY_SESSION_ID = "sessionId"
BY_UPDATE = "-updatedAt"

_SCALAR: docs.Doc = {"type": ["string", "number", "boolean", "null"]}
_ORDERED: docs.Doc = {"type": ["string", "number"]}
_OPERATORS: docs.Doc = {
    "$eq": _SCALAR,
    "$ne": _SCALAR,
    "$gt": _ORDERED,
    "$gte": _ORDERED,
    "$lt": _ORDERED,
    "$lte": _ORDERED,
    "$in": {"type": "array", "items": _SCALAR, "minItems": 1, "maxItems": MAX_VALUES},
    "$prefix": {"type": "string"},
    "$exists": {"type": "boolean"},
}
_CONDITION: docs.Doc = {
    "anyOf": [
        _SCALAR,
        {
            "type": "object",
            "properties": _OPERATORS,
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}

Condition = Annotated[
    Raw,
    Meta(
        description="A value to equal, or operators that must all hold.",
        extra_json_schema=_CONDITION,
    ),
]
Cursor = Annotated[
    str,
    Meta(
        description="The `next` of the page before, to the same query.",
        extra_json_schema={"pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$"},
    ),
]


Conditions = Annotated[
    dict[PropertyName, Condition],
    Meta(
        description="The conditions that a session must meet, by the name of a property.",
        extra_json_schema={"maxProperties": MAX_NAMES},
    ),
]

SessionPrefix = Annotated[
    str,
    Meta(
        description="What the sessionId must begin with.",
        extra_json_schema={
            "maxLength": 256,
            "pattern": docs.SESSION_SCHEMA["pattern"].replace("+$", "*$"),
        },
    ),
]


class FindBody(Struct, forbid_unknown_fields=True):
    """What to find, and what to return of it. Everything may be left out."""

    where: Conditions = {}
    sessionPrefix: SessionPrefix = ""
    fields: Annotated[
        bool | list[PropertyName],
        Meta(
            description="The properties to return: all, none, or those of these names.",
            extra_json_schema={"type": ["boolean", "array"], "items": docs.NAME_SCHEMA},
        ),
    ] = False
    sort: Annotated[
        str,
        Meta(
            description="The order. `-updatedAt`, the last saved first, needs the setting `sortByUpdate`.",
            extra_json_schema={"enum": [BY_SESSION_ID, BY_UPDATE]},
        ),
    ] = BY_SESSION_ID
    # 100.0 is a whole number too.
    limit: Annotated[
        int | float,
        Meta(
            description="The maximum number of sessions to return.",
            extra_json_schema={"type": "integer", "minimum": 0, "maximum": MAX_PER_PAGE},
        ),
    ] = PER_PAGE
    after: Cursor | UnsetType = UNSET
    count: Annotated[
        bool,
        Meta(
            description="Whether to count the sessions of this page instead of returning them; needs a limit of 0."
        ),
    ] = False


class FindResponse(Struct, omit_defaults=True):
    """A page of sessions."""

    sessions: Annotated[
        Raw,
        Meta(
            description="The sessions, in the order asked for.",
            extra_json_schema={
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "sessionId": {"type": "string"},
                        "updatedAt": {
                            "type": ["string", "null"],
                            "format": "date-time",
                            "description": "The latest save of a property that exists; null if none is known.",
                        },
                        "properties": {"type": "object"},
                    },
                    "required": ["sessionId", "updatedAt"],
                },
            },
        ),
    ]
    next: (
        Annotated[str, Meta(description="Where the next page begins; left out on the last one.")]
        | UnsetType
    ) = UNSET
    count: Annotated[int, Meta(description="How many sessions of this page match.")] | UnsetType = (
        UNSET
    )


def find_docs() -> dict[str, Any]:
    """The documentation of finding sessions."""
    session = {"sessionId": "mySession", "updatedAt": "2021-02-26T02:46:38.220Z"}
    return {
        "operationId": "findSessions",
        "parameters": [CONSISTENCY],
        "requestBody": docs.body(
            FindBody,
            equal={"where": {"myProperty1": "myValue1"}, "fields": ["myProperty1"]},
            range={"where": {"score": {"$gte": 5, "$lt": 10}}, "limit": 10},
            prefix={"sessionPrefix": "my", "fields": True},
            count={"where": {"myProperty1": {"$exists": True}}, "limit": 0, "count": True},
        ),
        "responses": docs.response(
            "A page.",
            FindResponse,
            sessions={"sessions": [session | {"properties": {"myProperty1": "myValue1"}}]},
            count={"sessions": [], "count": 1},
        )
        | docs.errors(400, 401, 403, 409, 413, 415),
    }
