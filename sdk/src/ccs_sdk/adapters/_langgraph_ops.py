"""How the stores of LangGraph perform operations, however they send them."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    SearchItem,
    SearchOp,
)

from ccs_sdk import BatchProperties, Hit, TooLargeError
from ccs_sdk.adapters._entries import OPERATIONS
from ccs_sdk.adapters._langgraph_items import (
    ITEM,
    Properties,
    Work,
    common_prefix,
    conditions_of,
    id_of,
    item_of,
    matches,
    prefix_of,
    renew,
    write,
)


class Store(BaseStore):
    """What both stores do. They differ in how they send a batch and iterate over `find`."""

    supports_ttl = True

    @abstractmethod
    async def _send(self, work: list[Work]) -> list[Any]: ...

    @abstractmethod
    def _hits(self, **query: Any) -> AsyncIterator[Hit]: ...  # noqa: ANN401 - arguments of `find`

    async def perform(self, ops: list[Op]) -> list[Any]:
        """Performs the reads, of what was stored before, and then the writes: the last of each item."""
        puts = {id_of(op): op for op in ops if isinstance(op, PutOp)}
        ids = {id_of(op) for op in ops if isinstance(op, GetOp)}
        ids |= {id_ for id_, put in puts.items() if put.value is not None}
        read = await self._send_all([(id_, BatchProperties.all) for id_ in ids])
        stored = {id_: each for id_, each in zip(ids, read, strict=True) if ITEM in each}
        results: list[Any] = [None] * len(ops)
        writes: list[Work] = []
        for index, op in enumerate(ops):
            if isinstance(op, ListNamespacesOp):
                results[index] = await self._list_namespaces(op)
            elif isinstance(op, SearchOp):
                found = await self._search(op)
                results[index] = [item_of(SearchItem, properties) for properties in found]
                writes += renew(found) if op.refresh_ttl else []
            elif isinstance(op, GetOp) and (properties := stored.get(id_of(op))):
                results[index] = item_of(Item, properties)
                writes += renew([properties]) if op.refresh_ttl else []
        writes += [write(put, stored.get(id_)) for id_, put in puts.items()]
        await self._send_all(writes)
        return results

    async def _send_all(self, work: list[Work]) -> list[Any]:
        """Sends work in a batch, or in halves where that has too many operations or is too large."""
        if len(work) <= OPERATIONS // 2:  # a piece of work has up to two
            try:
                return await self._send(work)
            except TooLargeError:
                if len(work) == 1:
                    raise
        half = len(work) // 2
        return await self._send_all(work[:half]) + await self._send_all(work[half:])

    async def _search(self, op: SearchOp) -> list[Properties]:
        where, containers = conditions_of(op)

        def fits(properties: Properties) -> Properties | None:
            return properties if containers.items() <= properties.items() else None

        return await self._page(op, fits, op.namespace_prefix, where=where, fields=True)

    async def _list_namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = op.match_conditions or ()

        def fits(properties: Properties) -> tuple[str, ...] | None:
            namespace = tuple(properties[ITEM]["namespace"])
            matching = all(matches(condition, namespace) for condition in conditions)
            return namespace[: op.max_depth] if matching else None

        return await self._page(op, fits, common_prefix(conditions), fields=[ITEM])

    async def _page(
        self,
        op: SearchOp | ListNamespacesOp,
        fits: Callable[[Properties], Any],
        prefix: Iterable[str],
        **query: Any,  # noqa: ANN401 - arguments of `find`
    ) -> list[Any]:
        """Returns the page that is asked for, and reads no further than its end."""
        end = op.offset + op.limit
        found: list[Any] = []
        size = min(max(end, 10), 1000)
        async for hit in self._hits(prefix=prefix_of(prefix), page_size=size, **query):
            value = fits(hit.properties) if ITEM in hit.properties else None
            if value is not None and found[-1:] != [value]:  # equal namespaces follow each other
                found.append(value)
            if len(found) >= end:
                break
        return found[op.offset : end]
