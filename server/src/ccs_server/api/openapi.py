"""What the OpenAPI document says of every operation, said once."""

from http import HTTPStatus
from typing import Any

from apispec import APISpec
from msgspec.json import schema_components

from ccs_server.domain.names import (
    ACCOUNT_PATTERN,
    NAMESPACE_PATTERN,
    NAMESPACE_PATTERN_V2,
    RESERVED_NAMESPACES,
    RESERVED_SESSIONS,
)

Doc = dict[str, Any]

DESCRIPTION = """\
What bots, agents' desktops and back ends know about a conversation: *properties* (name → JSON value), grouped by
*namespace* and *session*, per account, with a time to live. v1 and v2 read and write one store.

**v1**: press *Authorize* and give a key (`ccs keys create ACCOUNT`). **v2**: give a user name and password
(`ccs credentials create ACCOUNT`) under *basic*, execute the login, and enter the token that it returns under *bearer*.
**ext** is what this service offers beyond v1 and v2; it takes the key, or a token under *bearer*. Managing keys needs
a key of the scope `admin` (`ccs keys create ACCOUNT --scope admin`).
"""

SECURITY_SCHEMES: dict[str, Doc] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "maven-api-key",
        "description": "v1 and the extension: a key of the account, or a session token.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "v2's login: user name and password of the account.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "v2 and the extension: the token that the login returns. v1 and the extension: a session token.",
    },
    "access_token": {
        "type": "apiKey",
        "in": "query",
        "name": "access_token",
        "description": "v2: the same token in the query, for clients that cannot set a header.",
    },
}

V1_SECURITY: list[Doc] = [{"key": []}, {"bearer": []}]
V2_SECURITY: list[Doc] = [{"bearer": []}, {"access_token": []}]
_SECURITY: dict[str, list[Doc]] = {
    "v1": V1_SECURITY,
    "v2": V2_SECURITY,
    "ext": [{"key": []}, {"bearer": []}],
    ".well-known": [],
}
"""By the first segment of a path."""

_ERRORS = {
    400: (
        "Malformed JSON, a wrong type, a bad name or number, a reserved namespace.",
        "Bad Request",
    ),
    401: ("A credential is missing, or a token is bad.", "Unauthorized"),
    403: (
        "The key is unknown, the credential is of another account or lacks a right.",
        "Forbidden",
    ),
    404: ("There is no such property, document, key or job.", "Not Found"),
    409: (
        "The account has all the namespaces that it may have, or the stored value is of another type.",
        "Conflict",
    ),
    410: ("The change log has forgotten what follows the cursor; list what there is now.", "Gone"),
    412: ("A condition or a fence does not hold.", "Precondition Failed"),
    413: ("The document or the body is too large.", "Request Entity Too Large"),
    415: ("The body does not call itself JSON.", "Unsupported Media Type"),
    422: ("The idempotency key was used for another request.", "Unprocessable Entity"),
    423: ("The session is leased by another holder.", "Locked"),
    429: (
        "The account is over its rate, where one is set; try again after Retry-After.",
        "Too Many Requests",
    ),
    503: ("The database cannot be used now; try again after Retry-After.", "Service Unavailable"),
}


_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}}


def error_components() -> dict[str, Doc]:
    """The documented error responses, by the names that `errors` refers to."""
    components = {
        _error_name(code): {
            "description": description,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "example": {"code": code, "status": phrase, "message": description},
                }
            },
        }
        for code, (description, phrase) in _ERRORS.items()
    }
    for code in (429, 503):
        components[_error_name(code)]["headers"] = _RETRY_AFTER
    return components


def errors(*codes: int) -> dict[str, Doc]:
    """References to the documented responses of these statuses, and of 503, which any operation can return.

    Operations that need a credential of an account (403) can return 429 too.
    """
    limited = (429,) if HTTPStatus.FORBIDDEN in codes else ()
    return {
        str(code): {"$ref": f"#/components/responses/{_error_name(code)}"}
        for code in (*codes, *limited, 503)
    }


def _error_name(code: int) -> str:
    return f"Error{code}"


NO_CONTENT: Doc = {"204": {"description": "Done; the body is empty."}}


# The schema of each Struct that `schema_of` has met, by the Struct's name.
_named_schemas: dict[str, Doc] = {}


def schema_of(type_: object) -> Doc:
    """The schema of a body that msgspec reads or writes as `type_`.

    A Struct becomes a reference to the document's components, where `describe` puts its schema.

    Raises:
        ValueError: two Structs of different schemas have the same name.
    """
    (schema,), named = schema_components([type_], ref_template="#/components/schemas/{name}")
    for name, struct in named.items():
        for member in struct["properties"].values():
            # msgspec lists the types of a union even where its Meta says which values are meant.
            if "type" in member:
                member.pop("anyOf", None)
        if _named_schemas.setdefault(name, struct) != struct:
            raise ValueError(f"Two bodies are called {name}; rename one.")
    return schema


def json_content(type_: object, **examples: object) -> Doc:
    """A media type object of JSON that msgspec reads or writes as `type_`."""
    content: Doc = {"schema": schema_of(type_)}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": content}


def response(description: str, type_: object, **examples: object) -> Doc:
    """A 200 response of JSON that msgspec writes as `type_`."""
    return {"200": {"description": description, "content": json_content(type_, **examples)}}


def body(type_: object, **examples: object) -> Doc:
    """A required JSON body that msgspec reads as `type_`."""
    return {"required": True, "content": json_content(type_, **examples)}


# A pattern of JSON Schema is searched for, not matched from end to end, and is read as ECMA-262.
ACCOUNT_SCHEMA: Doc = {"type": "string", "pattern": f"^{ACCOUNT_PATTERN}$"}
SESSION_SCHEMA: Doc = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f/]+$",
    "not": {"enum": sorted(RESERVED_SESSIONS)},
}
SESSION_IN_PATH_SCHEMA: Doc = SESSION_SCHEMA | {
    "not": {"enum": [*sorted(RESERVED_SESSIONS), ".", ".."]}
}
NAME_SCHEMA: Doc = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
}

FILTER_SCHEMA: Doc = {
    "type": "string",
    "pattern": rf"^{NAMESPACE_PATTERN_V2}\.[^\u0000-\u001f\u007f-\u009f]{{1,256}}$",
}

POINTER_SCHEMA: Doc = {
    "type": "string",
    "pattern": "^(/([^/~]|~[01])*)*$",
    "examples": ["/items/0"],
}

# What clients and proxies do not carry in a path: it goes through bodies.
NAME_IN_PATH_SCHEMA: Doc = NAME_SCHEMA | {"not": {"enum": [".", ".."]}}


def _namespace_schema(pattern: str) -> Doc:
    return {
        "type": "string",
        "pattern": f"^{pattern}$",
        "not": {"enum": sorted(RESERVED_NAMESPACES)},
    }


NAMESPACE_SCHEMA = _namespace_schema(NAMESPACE_PATTERN)
NAMESPACE_SCHEMA_V2 = _namespace_schema(NAMESPACE_PATTERN_V2)


def path_parameter(name: str, schema: Doc, example: str, description: str) -> Doc:
    """A parameter in the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema,
        "example": example,
        "description": description,
    }


OPTIONS: Doc = {
    "info": {
        "description": DESCRIPTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "servers": [{"url": "/"}],
}


def describe(spec: APISpec) -> None:
    """Adds what all operations share to the document."""
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    for name, response in error_components().items():
        spec.components.response(name, response)
    for name, schema in _named_schemas.items():
        spec.components.schema(name, schema)


def with_security(document: Doc) -> Doc:
    """The document with each version's security on those of its operations that name none."""
    for path, operations in document["paths"].items():
        security = _SECURITY[path.split("/")[1]]
        for method, operation in operations.items():
            if method != "parameters":
                operation.setdefault("security", security)
    return document
