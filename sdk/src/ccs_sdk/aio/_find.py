"""Finding sessions by their properties: the pages of what is found."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar

from ccs_sdk import _paths, _wire
from ccs_sdk._json import JSON, Value
from ccs_sdk.aio._ext import AsyncExtension
from ccs_sdk.models import Hit

T = TypeVar("T")


async def hits(
    extension: AsyncExtension,
    namespace: str,
    body: Mapping[str, JSON],
    limit: int | None,
    page_size: int,
) -> AsyncIterator[Hit]:
    """Iterates over the sessions that the query finds, at most `limit`, and requests pages as needed."""
    left = limit
    after = None
    while left is None or left > 0:
        size = page_size if left is None else min(left, page_size)
        request = {**body, "limit": size}
        page, after = await _page(extension, namespace, request, after, _wire.page_of_hits)
        for found in page:
            yield found
        if after is None:
            return
        left = None if left is None else left - len(page)


async def count(extension: AsyncExtension, namespace: str, body: Mapping[str, JSON]) -> int:
    """Returns how many sessions the query finds."""
    request = {**body, "limit": 0, "count": True}
    total, after = await _page(extension, namespace, request, None, _wire.page_of_count)
    while after is not None:
        more, after = await _page(extension, namespace, request, after, _wire.page_of_count)
        total += more
    return total


async def _page(
    extension: AsyncExtension,
    namespace: str,
    body: Mapping[str, JSON],
    after: str | None,
    convert: Callable[[Value], T],
) -> T:
    path = f"/namespaces/{_paths.segment(namespace)}/find"
    cursor: dict[str, JSON] = {} if after is None else {"after": after}
    return await extension.post(path, {**body, **cursor}, convert, keyed=False)
