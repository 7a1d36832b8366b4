"""Queries of sessions by their properties, checked and as JSON."""

from collections.abc import Mapping, Sequence

from ccs_sdk._json import JSON, check_object
from ccs_sdk._names import Names, check_properties, check_text, check_texts
from ccs_sdk._paths import filters
from ccs_sdk.errors import InvalidArgumentError

HISTORY_TYPES = (
    "property.set",
    "property.touched",
    "property.deleted",
    "property.expired",
    "namespace.deleted",
)
"""What the history of a property consists of. The log also says when an erasure has ended, of whatever sessions."""


def query(where: Mapping[str, JSON] | None, prefix: str) -> dict[str, JSON]:
    """Returns what the sessions must fulfil, or raises InvalidArgumentError."""
    conditions: Mapping[str, JSON] = {} if where is None else where
    check_object(conditions, "where")
    return {"where": conditions, "sessionPrefix": check_text(prefix, "A prefix")}


def wanted(fields: Names | bool) -> dict[str, JSON]:  # noqa: FBT001 - as in the contract
    """Returns which properties the hits contain, or raises InvalidArgumentError."""
    return {"fields": fields if isinstance(fields, bool) else check_properties(fields)}


def changes(
    namespaces: Names | str | None,
    session_id: str | None,
    name: str | None,
    types: Names | str | None,
) -> str:
    """Returns the parameters that select changes, or raises InvalidArgumentError."""
    given: list[tuple[str, str | None]] = [
        *(("ns", namespace) for namespace in _several(namespaces)),
        *(("type", kind) for kind in _several(types)),
        ("session", None if session_id is None else check_text(session_id, "A session_id")),
        ("name", None if name is None else check_text(name, "A name")),
    ]
    return filters(given)


def erasure(  # noqa: PLR0913 - every member is written out
    session_id: Names | str | None,
    name: Names | str | None,
    value: Names | str | None,
    *,
    contains: bool,
    scope: str,
    namespaces: Names | str | None,
) -> dict[str, JSON]:
    """Returns what to erase, as the body of a request, or raises InvalidArgumentError."""
    match: dict[str, JSON] = {
        member: _texts(given, member)
        for member, given in (("sessionId", session_id), ("name", name), ("value", value))
        if given is not None
    }
    if not match:
        raise InvalidArgumentError("Give what to erase: session_id, name or value.")
    body: dict[str, JSON] = {"kind": "erase", "match": match, "contains": contains, "scope": scope}
    if namespaces is not None:
        body["ns"] = _texts(namespaces, "namespaces")
    return body


def _texts(given: Names | str, what: str) -> list[str]:
    return [given] if isinstance(given, str) else check_texts(given, what)


def _several(names: Names | str | None) -> Sequence[str]:
    if names is None:
        return ()
    return [names] if isinstance(names, str) else check_properties(names)


def check_limit(number: object, what: str) -> int:
    """Returns a number of hits, or raises InvalidArgumentError."""
    if type(number) is not int or number < 1:
        raise InvalidArgumentError(f"{what} must be a whole number (int), 1 or more.")
    return number
