"""Converts JSON of the wire format to models. Malformed JSON raises one of MALFORMED."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeGuard, TypeVar

from ccs_sdk._json import Value
from ccs_sdk.models import (
    Document,
    DocumentReceipt,
    Namespace,
    SessionProperties,
    SessionTTL,
    Token,
)

MALFORMED: Final = (KeyError, TypeError, ValueError, OverflowError)
"""The exceptions that these functions raise for JSON that does not conform to the contract."""

T = TypeVar("T")


def typed(value: Value, kind: type[T]) -> T:
    """Returns `value` if it is a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected")
    return value


def anything(value: Value) -> Value:
    """Returns `value`, of any type."""
    return value


def text(value: Value) -> str:
    """Returns `value` if it is a string."""
    return typed(value, str)


def properties(value: Value) -> dict[str, Value]:
    """Returns `value` if it is an object: values by name."""
    if not _is_object(value):
        raise TypeError("object expected")
    return value


def values(value: Value) -> list[Value]:
    """Returns `value` if it is a list."""
    if not _is_list(value):
        raise TypeError("list expected")
    return value


def list_of(read_item: Callable[[Value], T]) -> Callable[[Value], list[T]]:
    """Returns a function that converts each item of a list with `read_item`."""
    return lambda value: [read_item(item) for item in values(value)]


def namespace(value: Value) -> Namespace:
    """Converts an item of the list of namespaces."""
    wire = properties(value)
    return Namespace(
        name=text(wire["name"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire.get("ttlSecond", 0)),
    )


def session_ttl(value: Value) -> SessionTTL:
    """Converts an item of the list of session TTLs."""
    wire = properties(value)
    return SessionTTL(
        session_id=text(wire["sessionId"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire["ttlSecond"]),
    )


def session_properties(value: Value) -> SessionProperties:
    """Converts an item of the list of sessions with their properties."""
    wire = properties(value)
    return SessionProperties(text(wire["sessionId"]), properties(wire["property"]))


def document(value: Value) -> Document:
    """Converts a document of version 2."""
    wire = properties(value)
    return Document(
        account_id=text(wire["accountId"]),
        document_key=text(wire["documentKey"]),
        document_type=text(wire["documentType"]),
        namespace=text(wire["nameSpace"]),
        session_id=_optional(wire, "sessionId", text),
        payload=properties(wire["payload"]),
        tenant_id=text(wire["tenantId"]),
        expires_at=_optional(wire, "ttl", _time),
    )


def document_receipt(value: Value) -> DocumentReceipt:
    """Converts the response to a write of version 2, which must say `"success": true`."""
    wire = properties(value)
    if wire["success"] is not True:
        raise ValueError("success expected")
    return DocumentReceipt(text(wire["documentKey"]), text(wire["tenantId"]))


def token(value: Value) -> Token:
    """Converts the response to a login."""
    wire = properties(value)
    return Token(text(wire["access_token"]), _seconds(wire["expires_in"]))


def json_web_keys(value: Value) -> list[dict[str, Value]]:
    """Returns the keys of a JSON Web Key Set (RFC 7517)."""
    return list_of(properties)(properties(value)["keys"])


def _is_object(value: Value) -> TypeGuard[dict[str, Value]]:
    return isinstance(value, dict)


def _is_list(value: Value) -> TypeGuard[list[Value]]:
    return isinstance(value, list)


def _optional(wire: Mapping[str, Value], name: str, read: Callable[[Value], T]) -> T | None:
    value = wire.get(name)
    return None if value is None else read(value)


def _time(value: Value) -> datetime:
    return datetime.fromisoformat(text(value))


def _seconds(value: Value) -> timedelta:
    return timedelta(seconds=typed(value, int))
