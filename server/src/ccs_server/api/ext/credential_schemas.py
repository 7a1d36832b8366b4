"""Bodies and responses of keys and session tokens, and their documentation. The fields are called as on the wire.

Unknown members are refused. `keys` and `tokens` check names and numbers.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.ext.idempotency import PARAMETER
from ccs_server.api.types import PropertyName
from ccs_server.domain.limits import (
    MAX_KEY_NAMESPACES,
    MAX_OVERLAP_SECONDS,
    MAX_SESSION_TOKEN_SECONDS,
    MAX_TOKEN_NAMES,
    MAX_TTL_SECONDS,
    MIN_SESSION_TOKEN_SECONDS,
    SESSION_TOKEN_SECONDS,
)
from ccs_server.domain.names import NAMESPACE_PATTERN, NAMESPACE_PREFIX_PATTERN

KeyScope = Annotated[
    Literal["read", "write", "admin"],
    Meta(
        description="What the key may do: `write` includes `read`, `admin` includes both.",
        extra_json_schema={"type": "string"},
    ),
]
TokenScope = Annotated[
    Literal["read", "write"],
    Meta(description="What the token may do.", extra_json_schema={"type": "string"}),
]
NamespacePattern = Annotated[
    str,
    Meta(
        extra_json_schema=docs.NAMESPACE_SCHEMA
        | {"pattern": rf"^({NAMESPACE_PATTERN}|{NAMESPACE_PREFIX_PATTERN}\*)$"},
    ),
]
Label = Annotated[
    str,
    Meta(
        description="What the key is for.",
        extra_json_schema={"maxLength": 256, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"},
    ),
]
Moment = Annotated[
    str, Meta(examples=["2021-02-26T02:46:38.220Z"], extra_json_schema={"format": "date-time"})
]


# 60.0 is a whole number too.
WholeNumber = int | float


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


class KeyBody(Struct, forbid_unknown_fields=True):
    """The key to create."""

    scope: KeyScope
    label: Label = ""
    ns: (
        Annotated[
            list[NamespacePattern],
            Meta(
                min_length=1,
                max_length=MAX_KEY_NAMESPACES,
                description="The namespaces that the key may use; a `*` at the end of one stands for anything. "
                "Left out, all. The scope `admin` takes none.",
            ),
        ]
        | UnsetType
    ) = UNSET
    expiresIn: (
        Annotated[
            WholeNumber,
            Meta(
                description="Seconds; left out, it never expires.",
                extra_json_schema=_whole(1, MAX_TTL_SECONDS),
            ),
        ]
        | UnsetType
    ) = UNSET


class RotationBody(Struct, forbid_unknown_fields=True):
    """How long the old key stays valid."""

    overlap: Annotated[
        WholeNumber,
        Meta(description="Seconds.", extra_json_schema=_whole(0, MAX_OVERLAP_SECONDS)),
    ]


class TokenBody(Struct, forbid_unknown_fields=True):
    """The session token to create."""

    ns: Annotated[str, Meta(extra_json_schema=docs.NAMESPACE_SCHEMA)]
    session: Annotated[str, Meta(extra_json_schema=docs.SESSION_SCHEMA)]
    scope: TokenScope
    names: (
        Annotated[
            list[PropertyName],
            Meta(
                min_length=1,
                max_length=MAX_TOKEN_NAMES,
                description="The only properties that the token reaches; left out, all of the session.",
            ),
        ]
        | UnsetType
    ) = UNSET
    expiresIn: Annotated[
        WholeNumber,
        Meta(
            description="Seconds.",
            extra_json_schema=_whole(MIN_SESSION_TOKEN_SECONDS, MAX_SESSION_TOKEN_SECONDS),
        ),
    ] = SESSION_TOKEN_SECONDS


class KeyResponse(Struct, kw_only=True, omit_defaults=True):
    """A key, without its secret."""

    keyId: str
    label: str
    scope: KeyScope
    createdAt: Moment
    expiresAt: Annotated[Moment | None, Meta(description="`null`: never.")]
    ns: (
        Annotated[list[str], Meta(description="The namespaces; left out where it may use all.")]
        | UnsetType
    ) = UNSET


class NewKeyResponse(KeyResponse, kw_only=True):
    """A new key."""

    key: Annotated[
        str | None,
        Meta(description="The key itself. It is not shown again: null in a repeated response."),
    ]


class KeysResponse(Struct):
    """The valid keys of an account, oldest first."""

    keys: list[KeyResponse]


class TokenResponse(Struct):
    """A new session token."""

    token: Annotated[
        str | None,
        Meta(
            description="A JWT, for Authorization: Bearer or maven-api-key; null in a repeated response."
        ),
    ]
    expiresAt: Moment


_KEY = {
    "keyId": "a1B2c3D4e5F6",
    "label": "reports",
    "scope": "read",
    "createdAt": "2021-02-26T02:46:38.220Z",
    "expiresAt": None,
    "ns": ["airline", "day_*"],
}
_NEW_KEY = _KEY | {"key": f"ccs_a1B2c3D4e5F6_{'x' * 43}"}


def create_key_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of POST `/keys`."""
    example = {"label": "reports", "scope": "read", "ns": ["airline", "day_*"]}
    return {
        "operationId": operation_id,
        "parameters": [PARAMETER],
        "requestBody": docs.body(KeyBody, key=example),
        "responses": _created("The key.", NewKeyResponse, key=_NEW_KEY)
        | docs.errors(400, 401, 403, 409, 413, 415, 422),
    }


def list_keys_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of GET `/keys`."""
    return {
        "operationId": operation_id,
        "responses": docs.response("The keys.", KeysResponse, keys={"keys": [_KEY]})
        | docs.errors(400, 401, 403),
    }


def delete_key_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of DELETE `/keys/{id}`."""
    return {
        "operationId": operation_id,
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403),
    }


def rotate_key_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of POST `/keys/{id}/rotate`."""
    return {
        "operationId": operation_id,
        "parameters": [PARAMETER],
        "requestBody": docs.body(RotationBody, day={"overlap": 86_400}),
        "responses": _created("The new key.", NewKeyResponse, key=_NEW_KEY)
        | docs.errors(400, 401, 403, 404, 409, 413, 415, 422),
    }


def create_token_docs(operation_id: str) -> dict[str, Any]:
    """The documentation of POST `/tokens`."""
    example = {"ns": "myNamespace", "session": "mySession", "scope": "read", "expiresIn": 600}
    response = {"token": "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "expiresAt": "2021-02-26T02:56:38.220Z"}
    return {
        "operationId": operation_id,
        "parameters": [PARAMETER],
        "requestBody": docs.body(TokenBody, session=example),
        "responses": _created("The token.", TokenResponse, token=response)
        | docs.errors(400, 401, 403, 409, 413, 415, 422),
    }


def _created(description: str, type_: object, **examples: object) -> dict[str, Any]:
    return {"201": docs.response(description, type_, **examples)["200"]}
