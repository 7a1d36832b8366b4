"""The operations of a batch: how each is written, and how its result is read.

A single operation is a batch of one. Each is encoded when it is made, so a value that is changed
afterwards is sent as it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from ccs_sdk import _json, _wire
from ccs_sdk._json import JSON, Default, JSONObject, Value
from ccs_sdk._names import DEFAULT_SESSION, Names, check_properties, check_property, check_text
from ccs_sdk._states import LeaseGrant, Property
from ccs_sdk._ttl import KEEP, TTL, TTLOrKeep, ttl_or_keep, whole_seconds
from ccs_sdk.errors import InvalidArgumentError

T = TypeVar("T")

Terms = Mapping[str, JSON]
"""Members that say when a write takes place, and how long its properties live."""

NO_TERMS: Final[Terms] = {}
REQUIRED: Final[Any] = object()
"""The default of an argument that has none."""


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a document, and how values are written there.

    Attributes:
        namespace: The namespace.
        session_id: The session, or None.
        default: Returns what is stored for a value that JSON does not know.
    """

    namespace: str
    session_id: str | None
    default: Default | None = None

    def members(self) -> dict[str, JSON]:
        """Returns the members that address it."""
        return {"ns": self.namespace, "session": self.session_id or DEFAULT_SESSION}


@dataclass(frozen=True, slots=True)
class Op(Generic[T]):
    """One operation.

    Attributes:
        body: Its JSON.
        convert: Converts a successful result.
        keyed: Whether it is sent with an idempotency key, because it writes.
        repeatable: Whether it may be retried without a key.
        exact: Whether its result is decoded with all digits.
        default: What an absent property reads as; REQUIRED if that is an error.
    """

    body: bytes
    convert: Callable[[Mapping[str, Value]], T]
    keyed: bool = True
    repeatable: bool = True
    exact: bool = False
    default: Any = REQUIRED

    def absent(self, status: int) -> bool:
        """Whether the result is that an optional property is absent."""
        return status == HTTPStatus.NOT_FOUND and self.default is not REQUIRED


def terms(
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    ttl: TTLOrKeep | None = None,
    fence: int | None = None,
) -> dict[str, JSON]:
    """Returns the terms of a write, those that are given, or raises InvalidArgumentError."""
    given: dict[str, JSON] = {}
    if if_match is not None:
        given["ifMatch"] = check_text(if_match, "if_match")
    if if_none_match is not None:
        given["ifNoneMatch"] = check_text(if_none_match, "if_none_match")
    if ttl is not None:
        given["ttl"] = ttl_or_keep(ttl)
    if fence is not None:
        given["fence"] = _whole(fence, "fence")
    return given


def get(place: Place, name: str, default: Value, pointer: str | None) -> Op[Value]:
    """Reads the value of one property, or the part of it that a JSON pointer names."""
    more: dict[str, JSON] = {}
    if pointer is not None:
        more["pointer"] = check_text(pointer, "A pointer")
    body = _encode("get", place, {"name": check_property(name)}, more)
    return Op(body, lambda result: result["value"], keyed=False, default=default)


def read(place: Place, name: str) -> Op[Property]:
    """Reads one property with what the service knows of it."""
    body = _encode("get", place, {"name": check_property(name)}, {"meta": True})
    return Op(body, lambda result: _wire.property_(result["value"]), keyed=False)


def get_all(place: Place, names: Names | None) -> Op[dict[str, Value]]:
    """Reads all properties, or those of `names` that exist."""
    body = _encode("get", place, _named(names))
    return Op(body, lambda result: _wire.properties(result["values"]), keyed=False)


def set_one(place: Place, name: str, value: JSON, more: Terms) -> Op[str]:
    """Saves one property. The result is its new entity tag."""
    members: dict[str, JSON] = {"name": check_property(name), "value": value}
    return Op(
        _encode("set", place, members, more, levels=1),
        lambda result: _wire.text(result["etag"]),
        repeatable=not _has_condition(more),
    )


def set_all(place: Place, properties: JSONObject, more: Terms) -> Op[None]:
    """Saves several properties."""
    _json.check_object(properties)
    body = _encode("set", place, {"values": properties}, more, levels=2)
    return Op(body, _nothing, repeatable=not _has_condition(more))


def delete(place: Place, name: str, more: Terms) -> Op[int]:
    """Deletes one property. The result is how many there were, 0 or 1."""
    body = _encode("delete", place, {"name": check_property(name)}, more)
    return Op(body, _count, repeatable=not _has_condition(more))


def delete_all(place: Place, names: Names | None, more: Terms) -> Op[int]:
    """Deletes all properties, or those of `names`. The result is how many there were."""
    body = _encode("delete", place, _named(names), more)
    return Op(body, _count, repeatable=not _has_condition(more))


def touch(place: Place, names: Names | None, ttl: TTL | None, fence: int | None) -> Op[int]:
    """Gives all properties, or those of `names`, a new time to live. The result is how many there were."""
    body = _encode("touch", place, _named(names), _without_keep(terms(ttl=ttl, fence=fence)))
    return Op(body, _count, keyed=False)


def increment(place: Place, name: str, by: int | Decimal, more: Terms) -> Op[int | Decimal]:
    """Adds to a number, exactly. The result is the sum."""
    if isinstance(by, bool) or not isinstance(by, int | Decimal):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(
            f"by must be an int or a Decimal, which are exact, not {type(by).__name__}."
        )
    body = _encode("incr", place, {"name": check_property(name), "by": by}, _without_keep(more))
    return Op(body, lambda result: _wire.number(result["value"]), repeatable=False, exact=True)


def append(
    place: Place, name: str, values: tuple[JSON, ...], keep: int | None, more: Terms
) -> Op[int]:
    """Appends to a list. The result is its length."""
    if not values:
        raise InvalidArgumentError("Give at least one value to append.")
    members: dict[str, JSON] = {"name": check_property(name), "values": values}
    if keep is not None:
        members["keep"] = _whole(keep, "keep")
    body = _encode("append", place, members, _without_keep(more), levels=2)
    return Op(body, lambda result: _wire.integer(result["length"]), repeatable=False)


def merge(place: Place, name: str, patch: JSON, more: Terms) -> Op[str]:
    """Merges a patch into a value (RFC 7396). The result is its new entity tag."""
    if patch is None:
        raise InvalidArgumentError("A patch must not be None; save null with set instead.")
    members: dict[str, JSON] = {"name": check_property(name), "patch": patch}
    body = _encode("merge", place, members, _without_keep(more), levels=1)
    return Op(body, lambda result: _wire.text(result["etag"]))


def lease(place: Place, seconds: TTL, owner: str, fence: int | None) -> Op[LeaseGrant]:
    """Takes the lease of the session, or renews it with its `fence`."""
    members: dict[str, JSON] = {
        "owner": check_text(owner, "An owner"),
        "seconds": whole_seconds(seconds, "A lease"),
    }
    body = _encode("lease", place, members, terms(fence=fence))
    return Op(body, _wire.lease_grant, keyed=fence is None, repeatable=fence is not None)


def release(place: Place, fence: int) -> Op[None]:
    """Ends the lease with this fence, if it is still held."""
    body = _encode("release", place, {"fence": _whole(fence, "fence")})
    return Op(body, _nothing, keyed=False)


def _encode(
    kind: str, place: Place, members: Mapping[str, JSON], more: Terms = NO_TERMS, *, levels: int = 1
) -> bytes:
    """Returns the JSON of an operation. `levels` are those around the stored values."""
    body: dict[str, JSON] = {"op": kind, **place.members(), **members, **more}
    return _json.encode(body, wrapping=levels, default=place.default)


def _named(names: Names | None) -> dict[str, JSON]:
    return {} if names is None else {"names": check_properties(names)}


def _without_keep(more: Terms) -> Terms:
    if more.get("ttl") == KEEP:
        raise InvalidArgumentError(
            "Only set and update take the ttl 'keep'; give a timedelta or an int of whole seconds."
        )
    return more


def _has_condition(more: Terms) -> bool:
    return bool(more.keys() & {"ifMatch", "ifNoneMatch"})


def _whole(number: object, what: str) -> int:
    if type(number) is not int:  # excludes True, which equals 1 but is probably a mistake
        raise InvalidArgumentError(
            f"{what} must be a whole number (int), not {type(number).__name__}."
        )
    return number


def _count(result: Mapping[str, Value]) -> int:
    return _wire.integer(result["count"])


def _nothing(result: Mapping[str, Value]) -> None:
    """Ignores a result that says nothing but success."""
