"""The documentation of export and import. The fields of lines are called as on the wire.

Both bodies are NDJSON: a JSON text on each line. OpenAPI 3.1 cannot describe the lines, so docs/extension.md does.
"""

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.domain.limits import EXPORT_LINES, MAX_EXPORT_LINES, MAX_IMPORT_DOCUMENTS
from ccs_server.http.body import NDJSON

POSITION = "Ccs-Position"

OVERWRITE = "overwrite"
KEEP = "keep"

Moment = Annotated[datetime, Meta(tz=True)]


class Line(Struct, forbid_unknown_fields=True):
    """A line of any kind. Which members it must have, `lines` checks."""

    ns: str | UnsetType = UNSET
    session: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    value: Raw | UnsetType = UNSET
    # 60.0 is a whole number too.
    ttlSecond: int | float | UnsetType = UNSET
    expiresAt: Moment | UnsetType | None = UNSET
    updatedAt: Moment | UnsetType | None = UNSET
    next: str | UnsetType = UNSET
    end: bool | UnsetType = UNSET


class ImportResponse(Struct):
    """What came of an import."""

    saved: Annotated[int, Meta(description="How many lines were saved.")]
    skipped: Annotated[
        int, Meta(description="How many were not: they have expired, or are kept as they were.")
    ]


_PLACE = '"ns":"myNamespace","session":"mySession"'
_EXAMPLE = (
    '{"ns":"myNamespace","ttlSecond":0}\n'
    f'{{{_PLACE},"ttlSecond":3600}}\n'
    f'{{{_PLACE},"name":"myProperty1","value":"myValue1",'
    '"expiresAt":null,"updatedAt":"2021-02-26T02:46:38.220Z"}\n'
)
_LINES: docs.Doc = {"type": "string"}


def _parameter(name: str, schema: docs.Doc, description: str, **example: object) -> docs.Doc:
    return {"name": name, "in": "query", "schema": schema, "description": description, **example}


def export_docs() -> dict[str, Any]:
    """The documentation of the export."""
    return {
        "operationId": "exportProperties",
        "parameters": [
            _parameter("ns", docs.NAMESPACE_SCHEMA, "Only this namespace.", example="myNamespace"),
            _parameter(
                "session", docs.SESSION_SCHEMA, "Only this session of `ns`.", example="mySession"
            ),
            _parameter(
                "after",
                {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$"},
                "The `next` of the page before, to the same query.",
                examples={"none": {"summary": "Leave it out for the first page."}},
            ),
            _parameter(
                "limit",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_EXPORT_LINES,
                    "default": EXPORT_LINES,
                },
                "The maximum number of lines, without the last one.",
            ),
        ],
        "responses": {
            "200": {
                "description": 'A page, whose last line is `{"next": cursor}` or `{"end": true}`.',
                "headers": {
                    POSITION: {
                        "schema": {"type": "string"},
                        "description": "Of the first page: where the change log ended before. A cursor for `changes`.",
                    }
                },
                "content": {NDJSON: {"schema": _LINES, "example": _EXAMPLE + '{"end":true}\n'}},
            }
        }
        | docs.errors(400, 401, 403),
    }


def import_docs() -> dict[str, Any]:
    """The documentation of the import."""
    return {
        "operationId": "importProperties",
        "parameters": [
            _parameter(
                "mode",
                {"type": "string", "enum": [OVERWRITE, KEEP], "default": OVERWRITE},
                "Whether what exists is overwritten or stays as it is.",
            )
        ],
        "requestBody": {
            "required": True,
            "description": "Lines of an export; properties of at most "
            f"{MAX_IMPORT_DOCUMENTS} sessions.",
            "content": {NDJSON: {"schema": _LINES, "example": _EXAMPLE}},
        },
        "responses": docs.response("Imported.", ImportResponse, imported={"saved": 3, "skipped": 0})
        | docs.errors(400, 401, 403, 409, 413, 415),
    }
