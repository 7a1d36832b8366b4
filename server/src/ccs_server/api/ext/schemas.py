"""Bodies of the extension, and their documentation. The fields are called as on the wire.

The OpenAPI document's schemas are generated from these types; `operations` checks what they do not.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.types import PropertyName, Value
from ccs_server.domain.limits import (
    FOREVER,
    MAX_APPENDED,
    MAX_FENCE,
    MAX_KEPT,
    MAX_LEASE_SECONDS,
    MAX_OPERATIONS,
    MAX_OWNER,
    MAX_TTL_SECONDS,
)
from ccs_server.domain.names import DEFAULT_SESSION

Namespace = Annotated[str, Meta(examples=["myNamespace"], extra_json_schema=docs.NAMESPACE_SCHEMA)]
Session = Annotated[str, Meta(examples=["mySession"], extra_json_schema=docs.SESSION_SCHEMA)]
Condition = Annotated[
    str, Meta(description="`*`, or entity tags in quotes, as in the header.", examples=['"0a1b"'])
]
# 60.0 is a whole number too. That numbers are whole and within their bounds, `batches` checks.
Fence = Annotated[
    int | float,
    Meta(
        description="The fence that the lease returned.",
        extra_json_schema={"type": "integer", "minimum": 1, "maximum": MAX_FENCE},
    ),
]
Seconds = Annotated[
    int | float,
    Meta(
        description="0 is forever.",
        extra_json_schema={"type": "integer", "minimum": FOREVER, "maximum": MAX_TTL_SECONDS},
    ),
]
Names = Annotated[list[PropertyName], Meta(description="No names: nothing is done.")]


class _Operation(Struct, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    """What names a document in every operation."""

    ns: Namespace
    session: Session = DEFAULT_SESSION


class GetOperation(_Operation, tag="get", kw_only=True):
    """Reads one property (`name`), some (`names`), or all."""

    name: PropertyName | UnsetType = UNSET
    names: Names | UnsetType = UNSET
    meta: bool = False
    pointer: (
        Annotated[
            str,
            Meta(description="A JSON pointer (RFC 6901).", extra_json_schema=docs.POINTER_SCHEMA),
        ]
        | UnsetType
    ) = UNSET


class WriteOperation(_Operation, kw_only=True):
    """What every change of properties may have."""

    ifMatch: Condition | UnsetType = UNSET
    ifNoneMatch: Condition | UnsetType = UNSET
    fence: Fence | UnsetType = UNSET


class SetOperation(WriteOperation, tag="set", kw_only=True):
    """Saves one property (`name` and `value`), or several (`values`)."""

    name: PropertyName | UnsetType = UNSET
    value: Value | UnsetType = UNSET
    values: Annotated[Raw, Meta(extra_json_schema={"type": "object"})] | UnsetType = UNSET
    ttl: Seconds | Literal["keep"] | UnsetType = UNSET


class DeleteOperation(WriteOperation, tag="delete", kw_only=True):
    """Deletes one property (`name`), some (`names`), or all."""

    name: PropertyName | UnsetType = UNSET
    names: Names | UnsetType = UNSET


class TouchOperation(WriteOperation, tag="touch", kw_only=True):
    """Gives one property (`name`), some (`names`) or all a new expiry."""

    name: PropertyName | UnsetType = UNSET
    names: Names | UnsetType = UNSET
    ttl: Seconds | UnsetType = UNSET


class IncrementOperation(WriteOperation, tag="incr", kw_only=True):
    """Adds to a number; one that does not exist is 0."""

    name: PropertyName
    by: Annotated[Raw, Meta(extra_json_schema={"type": "number", "default": 1})] | UnsetType = UNSET
    ttl: Seconds | UnsetType = UNSET


class AppendOperation(WriteOperation, tag="append", kw_only=True):
    """Appends to an array; one that does not exist is empty."""

    name: PropertyName
    values: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_APPENDED)]
    keep: (
        Annotated[
            int | float,
            Meta(
                description="How many of the last elements to keep.",
                extra_json_schema={"type": "integer", "minimum": 1, "maximum": MAX_KEPT},
            ),
        ]
        | UnsetType
    ) = UNSET
    ttl: Seconds | UnsetType = UNSET


class MergeOperation(WriteOperation, tag="merge", kw_only=True):
    """Merges a patch into a value (RFC 7396)."""

    name: PropertyName
    patch: Annotated[Raw, Meta(extra_json_schema={"not": {"type": "null"}})]
    ttl: Seconds | UnsetType = UNSET


class LeaseOperation(_Operation, tag="lease", kw_only=True):
    """Takes the lease of a session, or renews it (`fence`)."""

    owner: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_OWNER,
            pattern=r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)",
            description="A label that others see; it proves nothing.",
        ),
    ]
    seconds: Annotated[
        int | float,
        Meta(extra_json_schema={"type": "integer", "minimum": 1, "maximum": MAX_LEASE_SECONDS}),
    ]
    fence: Fence | UnsetType = UNSET


class ReleaseOperation(_Operation, tag="release", kw_only=True):
    """Ends a lease; one that was lost stays lost."""

    fence: Fence


AnyOperation = (
    GetOperation
    | SetOperation
    | DeleteOperation
    | TouchOperation
    | IncrementOperation
    | AppendOperation
    | MergeOperation
    | LeaseOperation
    | ReleaseOperation
)


class Batch(Struct, forbid_unknown_fields=True):
    """Operations, which take place in their order."""

    ops: Annotated[list[Raw], Meta(min_length=1, max_length=MAX_OPERATIONS)]
    atomic: Annotated[bool, Meta(description="All of them or none, and as one.")] = True


# The document's schema of `Batch`, which is decoded without its operations: they are read one by one, so that an error
# can name the operation.
class BatchOfOperations(Struct, forbid_unknown_fields=True):
    """Operations, which take place in their order."""

    ops: Annotated[list[AnyOperation], Meta(min_length=1, max_length=MAX_OPERATIONS)]
    atomic: Annotated[bool, Meta(description="All of them or none, and as one.")] = True


class Result(Struct, omit_defaults=True):
    """The result of an operation: its status, and the members that its kind has."""

    status: int
    message: str | UnsetType = UNSET
    value: Value | UnsetType = UNSET
    values: Annotated[Raw, Meta(extra_json_schema={"type": "object"})] | UnsetType = UNSET
    etag: str | UnsetType = UNSET
    count: int | UnsetType = UNSET
    length: int | UnsetType = UNSET
    fence: int | UnsetType = UNSET
    expiresAt: str | UnsetType = UNSET


class Results(Struct):
    """The results, in the order of the operations."""

    results: list[Result]
