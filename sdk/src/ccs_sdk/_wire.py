"""From the JSON of the wire to models. What does not fit raises one of MALFORMED."""

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
"""What these functions raise for JSON that is not what the contract says."""

T = TypeVar("T")


def typed(value: Value, kind: type[T]) -> T:
    """`value`, which must be a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected")
    return value


def anything(value: Value) -> Value:
    """`value`, whatever it is."""
    return value


def text(value: Value) -> str:
    """A string."""
    return typed(value, str)


def properties(value: Value) -> dict[str, Value]:
    """Values by name."""
    if not _is_object(value):
        raise TypeError("object expected")
    return value


def values(value: Value) -> list[Value]:
    """A list of values."""
    if not _is_list(value):
        raise TypeError("list expected")
    return value


def list_of(read_item: Callable[[Value], T]) -> Callable[[Value], list[T]]:
    """A reader of lists of what `read_item` reads."""
    return lambda value: [read_item(item) for item in values(value)]


def namespace(value: Value) -> Namespace:
    """A namespace of the listing."""
    wire = properties(value)
    return Namespace(
        name=text(wire["name"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire.get("ttlSecond", 0)),
    )


def session_ttl(value: Value) -> SessionTTL:
    """A session of the listing of TTLs."""
    wire = properties(value)
    return SessionTTL(
        session_id=text(wire["sessionId"]),
        created_at=_time(wire["createdAt"]),
        ttl=_seconds(wire["ttlSecond"]),
    )


def session_properties(value: Value) -> SessionProperties:
    """A session with its properties."""
    wire = properties(value)
    return SessionProperties(text(wire["sessionId"]), properties(wire["property"]))


def document(value: Value) -> Document:
    """A document of version 2."""
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
    """The answer to a write of version 2, which says that it is done."""
    wire = properties(value)
    if wire["success"] is not True:
        raise ValueError("success expected")
    return DocumentReceipt(text(wire["documentKey"]), text(wire["tenantId"]))


def token(value: Value) -> Token:
    """The answer to a log-in."""
    wire = properties(value)
    return Token(text(wire["access_token"]), _seconds(wire["expires_in"]))


def json_web_keys(value: Value) -> list[dict[str, Value]]:
    """The keys of a JSON Web Key Set (RFC 7517)."""
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
