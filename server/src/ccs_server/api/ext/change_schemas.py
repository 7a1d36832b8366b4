"""Bodies and responses of a namespace's settings and of the change log, and their documentation."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.types import PropertyName
from ccs_server.domain.change_log import LoggedChanges
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.domain.limits import (
    KEEP_CHANGES_SECONDS,
    MAX_CHANGE_FILTERS,
    MAX_INDEX_NAMES,
    MAX_KEEP_CHANGES_SECONDS,
    MAX_PER_PAGE,
    PER_PAGE,
)

TYPES = (
    "property.set",
    "property.touched",
    "property.deleted",
    "property.expired",
    "namespace.deleted",
    "erasure.done",
)

_CHANGES = (
    "What the change log has of the namespace: nothing, what was changed, or the new values too."
)
_KEEP = "For how many seconds the log keeps a change; for changes from then on."

_INDEX = "The properties by which `find` finds sessions with an index, where they equal a value."
_SORT = "Whether `find` sorts by `-updatedAt`."
_Index = Annotated[
    list[PropertyName],
    Meta(description=_INDEX, extra_json_schema={"maxItems": MAX_INDEX_NAMES}),
]


class SettingsBody(Struct, forbid_unknown_fields=True):
    """The settings to change; those that are left out stay."""

    changes: (
        Annotated[LoggedChanges, Meta(description=_CHANGES, extra_json_schema={"type": "string"})]
        | UnsetType
    ) = UNSET
    # 60.0 is a whole number too.
    keepChanges: (
        Annotated[
            int | float,
            Meta(
                description=_KEEP,
                extra_json_schema={
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_KEEP_CHANGES_SECONDS,
                },
            ),
        ]
        | UnsetType
    ) = UNSET
    index: _Index | UnsetType = UNSET
    sortByUpdate: Annotated[bool, Meta(description=_SORT)] | UnsetType = UNSET


class SettingsResponse(Struct):
    """The settings of a namespace."""

    changes: Annotated[LoggedChanges, Meta(description=_CHANGES)]
    keepChanges: Annotated[int, Meta(description=_KEEP)]
    index: Annotated[Sequence[str], Meta(description=_INDEX)]
    sortByUpdate: Annotated[bool, Meta(description=_SORT)]
    indexState: Annotated[
        Literal["building", "ready"],
        Meta(description="Whether a job is still filling the index; `find` works meanwhile."),
    ]


_SETTINGS = {
    "changes": "values",
    "keepChanges": KEEP_CHANGES_SECONDS,
    "index": ["status"],
    "sortByUpdate": True,
    "indexState": "building",
}


def read_settings_docs() -> dict[str, Any]:
    """The documentation of reading settings."""
    return {
        "operationId": "getNamespaceSettings",
        "responses": docs.response("The settings.", SettingsResponse, settings=_SETTINGS)
        | docs.errors(400, 401, 403, 404),
    }


def change_settings_docs() -> dict[str, Any]:
    """The documentation of changing settings."""
    return {
        "operationId": "changeNamespaceSettings",
        "requestBody": docs.body(
            SettingsBody,
            changes={"changes": "values"},
            index={"index": ["status"], "sortByUpdate": True},
        ),
        "responses": docs.response("All settings.", SettingsResponse, settings=_SETTINGS)
        | docs.errors(400, 401, 403, 409, 413, 415),
    }


_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {
            "type": "string",
            "description": "The cursor of the event: what follows it is read with `after`.",
        },
        "type": {"type": "string", "enum": list(TYPES)},
        "time": {"type": "string", "format": "date-time"},
        "ns": {"type": "string"},
        "session": {
            "type": "string",
            "description": "Left out of `namespace.deleted` and `erasure.done`.",
        },
        "name": {
            "type": "string",
            "description": "Left out of `namespace.deleted` and `erasure.done`.",
        },
        "value": {"description": "What was saved, if the namespace logs values."},
        "etag": {"type": "string", "description": "The entity tag of what was saved."},
        "expiresAt": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the property that was saved or touched expires; null for never.",
        },
        "by": {
            "type": "string",
            "description": "The credential that made the change: the id of a key, or a user name. "
            "Left out if it was the service.",
        },
        "erasure": {
            "type": "string",
            "description": "The job that has erased the property. The event stays a day.",
        },
        "counts": {
            "type": "object",
            "description": "Of `erasure.done`: how many `sessions` and `properties` of the namespace were erased. "
            "A reader that was told of fewer properties must list anew.",
        },
    },
    "required": ["id", "type", "time", "ns"],
}


class ChangesResponse(Struct, omit_defaults=True):
    """A page of the change log."""

    changes: Annotated[
        Raw,
        Meta(
            description="The changes, in the order of the log.",
            extra_json_schema={"type": "array", "items": _EVENT},
        ),
    ]
    next: (
        Annotated[
            str,
            Meta(
                description="Where the next page begins. Only a page of the order `desc` may have none: "
                "there is nothing before it."
            ),
        ]
        | UnsetType
    ) = UNSET


def _parameter(
    name: str, schema: docs.Doc, description: str, example: object, **more: object
) -> docs.Doc:
    return {
        "name": name,
        "in": "query",
        "schema": schema,
        "description": description,
        "example": example,
        **more,
    }


_EXAMPLE = {
    "id": "Xb3v",
    "type": "property.set",
    "time": "2021-02-26T02:46:38.220Z",
    "ns": "myNamespace",
    "session": "mySession",
    "name": "myProperty1",
    "value": "myValue1",
    "etag": '"6b86b273ff34fce19d6b804eff5a3f57"',
    "expiresAt": None,
    "by": "a1B2c3D4e5F6",
}


def changes_docs() -> dict[str, Any]:
    """The documentation of reading the change log."""

    def several(items: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "maxItems": MAX_CHANGE_FILTERS, "items": items}

    found = docs.response(
        "A page, or a stream of events whose data are changes.",
        ChangesResponse,
        changes={"changes": [_EXAMPLE], "next": "Xb3v"},
    )
    found["200"]["content"]["text/event-stream"] = {
        "schema": {"type": "string"},
        "example": "id: Xb3v\nevent: position\ndata: {}\n\n",
    }
    return {
        "operationId": "readChanges",
        # The parameter is for clients that cannot set a header, as a browser's EventSource: it takes session tokens.
        "security": [{"key": []}, {"bearer": []}, {"access_token": []}],
        "parameters": [
            _parameter(
                "ns",
                several(docs.NAMESPACE_SCHEMA),
                "Only of these namespaces; may be repeated.",
                ["myNamespace"],
                explode=True,
            ),
            _parameter(
                "session",
                docs.SESSION_SCHEMA,
                "Only of this session, or of its whole namespace; needs one `ns`.",
                "mySession",
            ),
            _parameter(
                "name",
                docs.NAME_SCHEMA,
                "Only of this property, or of its whole namespace; needs `session`.",
                "myProperty1",
            ),
            _parameter(
                "type",
                several({"type": "string", "enum": list(TYPES)}),
                "Only of these types; may be repeated.",
                ["property.set"],
                explode=True,
            ),
            _parameter(
                "after",
                {
                    "type": "string",
                    "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$",
                    "default": "start",
                },
                "Where to begin: after a cursor, at the `start` of the log, or `now`, at its end.",
                "start",
            ),
            _parameter(
                "limit",
                {"type": "integer", "minimum": 0, "maximum": MAX_PER_PAGE, "default": PER_PAGE},
                "The maximum number of changes to return.",
                100,
            ),
            _parameter(
                "order",
                {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
                "`desc` begins with the newest change and ends with the oldest.",
                "asc",
            ),
        ],
        "responses": found | docs.errors(400, 401, 403, 410),
    }
