"""Reads the operations of a batch, and checks that they are allowed."""

import re
from collections.abc import Sequence

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder, encode

from ccs_server.api.ext import schemas
from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.types import Properties
from ccs_server.domain.access import ALL_DATA, Access, Scope
from ccs_server.domain.conditions import UNCONDITIONAL, Conditions, etag_of, read_tags
from ccs_server.domain.errors import ContextError, InvalidInput
from ccs_server.domain.limits import (
    FOREVER,
    MAX_DIGITS,
    MAX_FENCE,
    MAX_KEPT,
    MAX_LEASE_SECONDS,
    MAX_TTL_SECONDS,
)
from ccs_server.domain.names import (
    check_namespace,
    check_properties,
    check_property,
    check_session,
)
from ccs_server.domain.pointers import read_pointer
from ccs_server.http.body import decode_json, storable
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.base import KEEP_TTL, Operation
from ccs_server.store.operations.leases import Lease, Release
from ccs_server.store.operations.partial import Append, Increment, Merge
from ccs_server.store.operations.reads import Get
from ccs_server.store.operations.writes import Delete, Set, Touch

_operation: Decoder[schemas.AnyOperation] = Decoder(schemas.AnyOperation)
_properties = Decoder(Properties)

_NULL = b"null"

# The exponent may have leading zeros, as that of any JSON number.
_is_number = re.compile(rb"-?[0-9]+([.][0-9]+)?([eE][+-]?0*(100|[0-9]{1,2}))?").fullmatch
_not_digits = re.compile(rb"[eE].*|[-.]")


def read_operations(account: str, access: Access, given: Sequence[Raw]) -> list[Operation]:
    """The operations of a batch, each as a JSON text.

    Raises:
        InvalidInput: one is malformed.
        Forbidden: one is not allowed.

    Either has the member `op`: the index of the operation.
    """
    operations = []
    for index, text in enumerate(given):
        try:
            operations.append(_read(account, access, bytes(text)))
        except ContextError as error:
            error.members["op"] = index
            raise
    return operations


def _read(account: str, access: Access, text: bytes) -> Operation:
    given = decode_json(_operation, text)
    document = DocumentKey(
        account, check_namespace(given.ns, "ns"), check_session(given.session, "session")
    )
    operation = _operation_of(document, given)
    if access is not ALL_DATA:  # which may do all of this
        access.require(Scope.READ if operation.is_read else Scope.WRITE)
        # Only session tokens are limited to names, which a set of many has to be decoded for.
        names = _names_of(given) if access.session else None
        access.require_document(document.namespace, document.session_id, names)
    return operation


def _names_of(given: schemas.AnyOperation) -> Sequence[str] | None:
    """The properties that an operation is about; None for all of the document."""
    if isinstance(given, schemas.SetOperation) and isinstance(given.values, Raw):
        return [*decode_json(_properties, bytes(given.values))]
    name, names = getattr(given, "name", UNSET), getattr(given, "names", UNSET)
    if isinstance(name, str):
        return [name]
    return None if names is UNSET else names


# The arguments are written out: reading an operation takes twice as long with some of them in a dictionary (`**`).
def _operation_of(  # noqa: PLR0911 - one for each kind
    document: DocumentKey, given: schemas.AnyOperation
) -> Operation:
    match given:
        case schemas.GetOperation():
            return _get(document, given)
        case schemas.SetOperation():
            return _set(document, given)
        case schemas.DeleteOperation():
            name, names = _which(given)
            return Delete(
                document=document,
                name=name,
                names=names,
                conditions=_conditions(given),
                fence=_fence(given.fence),
            )
        case schemas.TouchOperation():
            name, names = _which(given)
            return Touch(
                document=document,
                name=name,
                names=names,
                ttl=_ttl(given.ttl),
                conditions=_conditions(given),
                fence=_fence(given.fence),
            )
        case schemas.IncrementOperation():
            by = "1" if given.by is UNSET else _number(bytes(given.by))
            return Increment(
                document=document,
                by=by,
                name=check_property(given.name, "name"),
                ttl=_ttl(given.ttl),
                conditions=_conditions(given),
                fence=_fence(given.fence),
            )
        case schemas.AppendOperation():
            values = storable(encode(given.values), wrapping=1)
            keep = None if given.keep is UNSET else check_whole(given.keep, 1, MAX_KEPT, "keep")
            return Append(
                document=document,
                values=values,
                keep=keep,
                name=check_property(given.name, "name"),
                ttl=_ttl(given.ttl),
                conditions=_conditions(given),
                fence=_fence(given.fence),
            )
        case schemas.MergeOperation():
            return Merge(
                document=document,
                patch=_patch(given.patch),
                name=check_property(given.name, "name"),
                ttl=_ttl(given.ttl),
                conditions=_conditions(given),
                fence=_fence(given.fence),
            )
        case schemas.LeaseOperation():
            return Lease(
                document=document,
                owner=given.owner,
                seconds=check_whole(given.seconds, 1, MAX_LEASE_SECONDS, "seconds"),
                fence=_fence(given.fence),
            )
        case schemas.ReleaseOperation():
            return Release(document=document, fence=check_whole(given.fence, 1, MAX_FENCE, "fence"))


def _get(document: DocumentKey, given: schemas.GetOperation) -> Get:
    name, names = _which(given)
    if given.pointer is not UNSET and name is None:
        raise InvalidInput(
            "pointer needs a name: it is about the value of one property.", "pointer"
        )
    pointer = () if given.pointer is UNSET else read_pointer(given.pointer)
    return Get(document=document, name=name, names=names, meta=given.meta, pointer=pointer)


def _set(document: DocumentKey, given: schemas.SetOperation) -> Set:
    ttl = KEEP_TTL if isinstance(given.ttl, str) else _ttl(given.ttl)
    if isinstance(given.name, str) and isinstance(given.value, Raw) and given.values is UNSET:
        check_property(given.name, "name")
        value = storable(bytes(given.value), wrapping=0)
        return Set(
            document=document,
            name=given.name,
            properties=encode({given.name: Raw(value)}),
            count=1,
            value=value,
            etag=etag_of(value),
            ttl=ttl,
            conditions=_conditions(given),
            fence=_fence(given.fence),
        )
    if given.name is not UNSET or given.value is not UNSET or not isinstance(given.values, Raw):
        raise InvalidInput("A set needs either name and value, or values.", "values")
    properties = decode_json(_properties, storable(bytes(given.values), wrapping=1))
    check_properties(properties, "values")
    return Set(
        document=document,
        properties=encode(properties),
        count=len(properties),
        ttl=ttl,
        conditions=_conditions(given),
        fence=_fence(given.fence),
    )


def _which(
    given: schemas.GetOperation | schemas.DeleteOperation | schemas.TouchOperation,
) -> tuple[str | None, tuple[str, ...] | None]:
    """The name and the names that an operation gives, at most one of the two."""
    if given.name is not UNSET and given.names is not UNSET:
        raise InvalidInput("Give name or names, not both.", "names")
    if given.name is not UNSET:
        return check_property(given.name, "name"), None
    if given.names is UNSET:
        return None, None
    check_properties(given.names, "names")
    return None, tuple(dict.fromkeys(given.names))


def _conditions(given: schemas.WriteOperation) -> Conditions:
    if given.ifMatch is UNSET and given.ifNoneMatch is UNSET:
        return UNCONDITIONAL
    return Conditions(
        None if given.ifMatch is UNSET else read_tags(given.ifMatch, "ifMatch"),
        None if given.ifNoneMatch is UNSET else read_tags(given.ifNoneMatch, "ifNoneMatch"),
    )


def _number(text: bytes) -> str:
    if not _is_number(text) or len(_not_digits.sub(b"", text)) > MAX_DIGITS:
        raise InvalidInput(
            f"by must be a number of at most {MAX_DIGITS} digits, with an exponent within ±{MAX_DIGITS}.",
            "by",
        )
    return text.decode()


def _patch(given: Raw) -> bytes:
    patch = storable(bytes(given), wrapping=0)
    if patch == _NULL:
        raise InvalidInput("patch must not be null; use set to save null.", "patch")
    return patch


def _ttl(given: float | UnsetType) -> int | None:
    return None if given is UNSET else check_whole(given, FOREVER, MAX_TTL_SECONDS, "ttl")


def _fence(given: float | UnsetType) -> int | None:
    return None if given is UNSET else check_whole(given, 1, MAX_FENCE, "fence")
