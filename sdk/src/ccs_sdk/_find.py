"""Finding sessions by their properties: the query, and the pages of what it finds."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from ccs_sdk import _paths, _wire
from ccs_sdk._ext import Extension
from ccs_sdk._json import JSON, Value, check_object
from ccs_sdk._names import Names, check_properties, check_text
from ccs_sdk.errors import InvalidArgumentError
from ccs_sdk.models import Hit

T = TypeVar("T")


def query(where: Mapping[str, JSON] | None, prefix: str) -> dict[str, JSON]:
    """Returns what the sessions must fulfil, or raises InvalidArgumentError."""
    conditions: Mapping[str, JSON] = {} if where is None else where
    check_object(conditions, "where")
    return {"where": conditions, "sessionPrefix": check_text(prefix, "A prefix")}


def wanted(fields: Names | bool) -> dict[str, JSON]:  # noqa: FBT001 - as in the contract
    """Returns which properties the hits contain, or raises InvalidArgumentError."""
    return {"fields": fields if isinstance(fields, bool) else check_properties(fields)}


def check_limit(number: object, what: str) -> int:
    """Returns a number of hits, or raises InvalidArgumentError."""
    if type(number) is not int or number < 1:
        raise InvalidArgumentError(f"{what} must be a whole number (int), 1 or more.")
    return number


def hits(
    extension: Extension,
    namespace: str,
    body: Mapping[str, JSON],
    limit: int | None,
    page_size: int,
) -> Iterator[Hit]:
    """Iterates over the sessions that the query finds, at most `limit`, and requests pages as needed."""
    left = limit
    after = None
    while left is None or left > 0:
        size = page_size if left is None else min(left, page_size)
        request = {**body, "limit": size}
        page, after = _page(extension, namespace, request, after, _wire.page_of_hits)
        yield from page
        if after is None:
            return
        left = None if left is None else left - len(page)


def count(extension: Extension, namespace: str, body: Mapping[str, JSON]) -> int:
    """Returns how many sessions the query finds."""
    request = {**body, "limit": 0, "count": True}
    total, after = _page(extension, namespace, request, None, _wire.page_of_count)
    while after is not None:
        more, after = _page(extension, namespace, request, after, _wire.page_of_count)
        total += more
    return total


def _page(
    extension: Extension,
    namespace: str,
    body: Mapping[str, JSON],
    after: str | None,
    convert: Callable[[Value], T],
) -> T:
    path = f"/namespaces/{_paths.segment(namespace)}/find"
    cursor: dict[str, JSON] = {} if after is None else {"after": after}
    return extension.post(path, {**body, **cursor}, convert, keyed=False)
