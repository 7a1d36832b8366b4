"""Bodies and answers of v2, and their documentation. The fields are called as on the wire."""

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs


class Addressed(Struct):
    """What names a document in every body. `sessionId` is left out for the document of the namespace itself."""

    accountId: str
    nameSpace: str
    sessionId: str | UnsetType = UNSET


class Create(Addressed, kw_only=True):
    """What to save. `ttlSeconds` of 0 is the time to live in force; 60.0 is a whole number too."""

    payload: dict[str, Raw]
    ttlSeconds: int | float = 0


class Filter(Addressed, kw_only=True):
    """Which properties to read, each as `namespace.name`."""

    filter: list[str]


class Delete(Addressed, kw_only=True):
    """Which properties to delete; all of them where it is left out."""

    propertyToDelete: list[str] | UnsetType = UNSET


class Success(Struct):
    """What v2's writes answer."""

    documentKey: str
    tenantId: str
    success: bool = True


class DocumentAnswer(Struct, omit_defaults=True, tag_field="documentType", tag="CONTEXT"):
    """A document. `ttl` is when the last of its properties expires, in UTC; left out when one never does."""

    accountId: str
    documentKey: str
    nameSpace: str
    payload: Raw
    tenantId: str
    sessionId: str | None = None
    ttl: str | None = None


_ADDRESS_SCHEMAS: docs.Doc = {
    "accountId": docs.ACCOUNT_SCHEMA | {"example": "demo"},
    "nameSpace": docs.NAMESPACE_SCHEMA_V2 | {"example": "myNamespace"},
    "sessionId": docs.SESSION_SCHEMA | {"example": "mySession"},
}
_ADDRESS = {"accountId": "demo", "nameSpace": "myNamespace", "sessionId": "mySession"}
_PAYLOAD = {"myProperty1": "myValue1", "myProperty2": {"score": 1.10}}
_SUCCESS = {"documentKey": "demo:myNamespace:mySession", "tenantId": "demo", "success": True}


def _body(required: list[str], **properties: docs.Doc) -> docs.Doc:
    return {
        "type": "object",
        "required": ["accountId", "nameSpace", *required],
        "properties": _ADDRESS_SCHEMAS | properties,
    }


_NAMES: docs.Doc = {"type": "array", "items": docs.NAME_SCHEMA}

_SUCCESS_SCHEMA: docs.Doc = {
    "type": "object",
    "required": ["documentKey", "tenantId", "success"],
    "properties": {
        "documentKey": {"type": "string", "description": "`account:namespace:session`."},
        "tenantId": {"type": "string"},
        "success": {"const": True},
    },
}

_DOCUMENT_SCHEMA: docs.Doc = {
    "type": "object",
    "required": ["accountId", "documentKey", "documentType", "nameSpace", "payload", "tenantId"],
    "properties": {
        "accountId": {"type": "string"},
        "documentKey": {"type": "string", "description": "`account:namespace:session`."},
        "documentType": {"const": "CONTEXT"},
        "nameSpace": {"type": "string"},
        "sessionId": {"type": "string"},
        "payload": {"type": "object"},
        "tenantId": {"type": "string"},
        "ttl": {
            "type": "string",
            "format": "date-time",
            "description": "When the last property expires; left out when one never does.",
        },
    },
}


def create_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 21."""
    schema = _body(
        ["payload"],
        payload=docs.PROPERTIES_SCHEMA,
        ttlSeconds={
            "type": "integer",
            "minimum": 0,
            "description": "0 or left out: the TTL in force, or the maximum retention.",
        },
    )
    example = _ADDRESS | {"ttlSeconds": 3600, "payload": _PAYLOAD}
    created = docs.answer("Saved.", _SUCCESS_SCHEMA, success=_SUCCESS)["200"]
    return {
        "operationId": operation_id,
        "requestBody": docs.body(schema, document=example),
        "responses": {"201": created} | docs.errors(400, 401, 403, 409, 413, 415),
    }


def read_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of rows 22 and 23."""
    example = _ADDRESS | {
        "documentKey": "demo:myNamespace:mySession",
        "documentType": "CONTEXT",
        "payload": _PAYLOAD,
        "tenantId": "demo",
        "ttl": "2021-02-26T03:46:38.220Z",
    }
    return {
        "operationId": operation_id,
        "responses": docs.answer("The document.", _DOCUMENT_SCHEMA, document=example)
        | docs.errors(400, 401, 403, 404),
    }


def filter_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 24."""
    schema = _body(["filter"], filter={"type": "array", "items": docs.FILTER_SCHEMA})
    example = _ADDRESS | {"filter": ["myNamespace.myProperty1"]}
    return {
        "operationId": operation_id,
        "requestBody": docs.body(schema, filter=example),
        "responses": docs.answer(
            "Those that exist.", {"type": "object"}, found={"myNamespace.myProperty1": "myValue1"}
        )
        | docs.errors(400, 401, 403, 413, 415),
    }


def delete_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 25."""
    schema = _body([], propertyToDelete=_NAMES)
    example = _ADDRESS | {"propertyToDelete": ["myProperty1"]}
    return {
        "operationId": operation_id,
        "requestBody": docs.body(schema, properties=example, document=_ADDRESS),
        "responses": docs.answer("Deleted.", _SUCCESS_SCHEMA, success=_SUCCESS)
        | docs.errors(400, 401, 403, 413, 415),
    }
