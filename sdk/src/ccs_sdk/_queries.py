"""Queries of sessions by their properties, checked and as JSON."""

from collections.abc import Mapping, Sequence

from ccs_sdk._json import JSON, check_object
from ccs_sdk._names import Names, check_properties, check_text
from ccs_sdk._paths import filters
from ccs_sdk.errors import InvalidArgumentError


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


def _several(names: Names | str | None) -> Sequence[str]:
    if names is None:
        return ()
    return [names] if isinstance(names, str) else check_properties(names)


def check_limit(number: object, what: str) -> int:
    """Returns a number of hits, or raises InvalidArgumentError."""
    if type(number) is not int or number < 1:
        raise InvalidArgumentError(f"{what} must be a whole number (int), 1 or more.")
    return number
