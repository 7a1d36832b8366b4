"""Bodies and responses of v2, and their documentation. The fields are called as on the wire.

The OpenAPI document's schemas are generated from these types. Their docstrings and what `Meta` says are for that
document; `documents` checks the values.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.consistency import CONSISTENCY
from ccs_server.api.types import Properties, PropertyName

AccountId = Annotated[str, Meta(examples=["demo"], extra_json_schema=docs.ACCOUNT_SCHEMA)]
Namespace = Annotated[
    str, Meta(examples=["myNamespace"], extra_json_schema=docs.NAMESPACE_SCHEMA_V2)
]
SessionId = Annotated[str, Meta(examples=["mySession"], extra_json_schema=docs.SESSION_SCHEMA)]
FilterEntry = Annotated[str, Meta(extra_json_schema=docs.FILTER_SCHEMA)]
Key = Annotated[str, Meta(description="`account:namespace:session`.")]


class Addressed(Struct):
    """What names a document in every body. `sessionId` is left out for the document of the namespace itself."""

    accountId: AccountId
    nameSpace: Namespace
    sessionId: SessionId | UnsetType = UNSET


class CreateBody(Addressed, kw_only=True):
    """What to save."""

    payload: Properties
    # 60.0 is a whole number too.
    ttlSeconds: Annotated[
        int | float,
        Meta(
            description="0 or left out: the TTL in force, or the maximum retention.",
            extra_json_schema={"type": "integer", "minimum": 0},
        ),
    ] = 0


class FilterBody(Addressed, kw_only=True):
    """Which properties to read, each as `namespace.name`."""

    filter: list[FilterEntry]


class DeleteBody(Addressed, kw_only=True):
    """Which properties to delete; all of them where `propertyToDelete` is left out."""

    propertyToDelete: list[PropertyName] | UnsetType = UNSET


class Success(Struct):
    """What was written to."""

    documentKey: Key
    tenantId: str
    success: Annotated[bool, Meta(extra_json_schema={"const": True})]


class DocumentResponse(Struct, omit_defaults=True, tag_field="documentType", tag="CONTEXT"):
    """A document."""

    accountId: str
    documentKey: Key
    nameSpace: str
    payload: Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
    tenantId: str
    sessionId: str | UnsetType = UNSET
    ttl: (
        Annotated[
            str,
            Meta(
                description="When the last property expires; left out when one never does.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET


class Token(Struct):
    """The response to a login."""

    token: Annotated[str, Meta(description="The token, a JWT.")]
    access_token: Annotated[str, Meta(description="The same.")]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="Seconds that it is valid.", examples=[86400])]


_ADDRESS = {"accountId": "demo", "nameSpace": "myNamespace", "sessionId": "mySession"}
_PAYLOAD = {"myProperty1": "myValue1", "myProperty2": {"score": 1.10}}
_SUCCESS = {"documentKey": "demo:myNamespace:mySession", "tenantId": "demo", "success": True}


def create_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 21."""
    example = _ADDRESS | {"ttlSeconds": 3600, "payload": _PAYLOAD}
    created = docs.response("Saved.", Success, success=_SUCCESS)["200"]
    return {
        "operationId": operation_id,
        "requestBody": docs.body(CreateBody, document=example),
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
        "parameters": [CONSISTENCY],
        "responses": docs.response("The document.", DocumentResponse, document=example)
        | docs.errors(400, 401, 403, 404),
    }


def filter_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 24."""
    example = _ADDRESS | {"filter": ["myNamespace.myProperty1"]}
    return {
        "operationId": operation_id,
        "parameters": [CONSISTENCY],
        "requestBody": docs.body(FilterBody, filter=example),
        "responses": docs.response(
            "Those that exist.", dict[str, Raw], found={"myNamespace.myProperty1": "myValue1"}
        )
        | docs.errors(400, 401, 403, 413, 415),
    }


def delete_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of row 25."""
    example = _ADDRESS | {"propertyToDelete": ["myProperty1"]}
    return {
        "operationId": operation_id,
        "requestBody": docs.body(DeleteBody, properties=example, document=_ADDRESS),
        "responses": docs.response("Deleted.", Success, success=_SUCCESS)
        | docs.errors(400, 401, 403, 413, 415),
    }
