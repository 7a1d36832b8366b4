"""The sessions in which adapters keep entries of any key, and requests about many of them, with either client."""

import re
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from ccs_sdk import BatchProperties, ContextClient, Result, TooLargeError

if TYPE_CHECKING:
    from ccs_sdk.aio import AsyncContextClient  # needs the extra `async`

T = TypeVar("T")

Work: TypeAlias = tuple[str, Callable[[BatchProperties], Result[Any]]]
"""A session, and a function that adds operations on it to a batch."""

_LONGEST_ID: Final = 256
_OPERATIONS: Final = 100
"""The most operations of a batch."""


def session_id(kind: str, key: str) -> str:
    """Returns the session of a key: a readable one, unless it would be too long."""
    readable = f"{kind}:{escaped(key)}"
    if len(readable) <= _LONGEST_ID:
        return readable
    return f"{kind}:%sha256:{sha256(key.encode()).hexdigest()}"  # no readable one has `%s`


def escaped(text: str) -> str:
    """Returns the text with percent-encoding for the characters that a session id cannot contain, and for `%`."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f%/]", lambda found: quote(found[0], safe=""), text)


def parts(work: Sequence[T], operations: int = 1) -> Iterator[Sequence[T]]:
    """Divides work into that of one batch each. A piece of it has up to so many operations."""
    size = _OPERATIONS // operations
    for begin in range(0, len(work), size):
        yield work[begin : begin + size]


async def perform(
    client: "ContextClient | AsyncContextClient",
    namespace: str,
    work: Sequence[Work],
    operations: int = 1,
) -> list[Any]:
    """Performs work in batches, in smaller ones where they are too large; returns the results' values."""
    values: list[Any] = []
    for part in parts(work, operations):
        try:
            values += [result.value for result in await _send(client, namespace, part)]
        except TooLargeError:
            if len(part) == 1:
                raise
            half = len(part) // 2
            for smaller in (part[:half], part[half:]):
                values += await perform(client, namespace, smaller, operations)
    return values


async def _send(
    client: "ContextClient | AsyncContextClient", namespace: str, work: Sequence[Work]
) -> list[Result[Any]]:
    if isinstance(client, ContextClient):
        with client.batch() as batch:
            return [add(batch.session(namespace, id_)) for id_, add in work]
    async with client.batch() as batch:
        return [add(batch.session(namespace, id_)) for id_, add in work]


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Iterates over what either client returned."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def completed(coroutine: Coroutine[Any, Any, T]) -> T:
    """Returns the result of a coroutine whose client is synchronous, so that it never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError
