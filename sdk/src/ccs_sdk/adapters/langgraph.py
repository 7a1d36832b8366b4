"""LangGraph's long-term memory, a `BaseStore`: `pip install 'ccs-sdk[langgraph]'`.

Each item is a session. Its fields are properties, so that the service can filter by them, and the property `item` has
its address and times. There is no search by meaning: `query` and `index` have no effect.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from langgraph.store.base import Op, TTLConfig
from langgraph.store.base.batch import AsyncBatchedBaseStore

from ccs_sdk import ContextClient, Hit
from ccs_sdk.adapters._langgraph_items import Work
from ccs_sdk.adapters._langgraph_ops import Store
from ccs_sdk.aio import AsyncContextClient

__all__ = ["AsyncContextStore", "ContextStore"]


class ContextStore(Store):
    """A store in a namespace of its own.

    Args:
        client: The client to send with. It stays open.
        namespace: The namespace of the service that has the items.
        ttl: The default time to live, in minutes, and whether reads renew it.
    """

    def __init__(
        self, client: ContextClient, namespace: str = "memory", *, ttl: TTLConfig | None = None
    ) -> None:
        self._client = client
        self._namespace = client.namespace(namespace)
        self.ttl_config = ttl

    def batch(self, ops: Iterable[Op]) -> list[Any]:
        """Performs operations: the reads, and then the writes."""
        performing = self.perform(list(ops))
        try:
            performing.send(None)
        except StopIteration as end:
            return list(end.value)
        raise AssertionError  # it never waits, because `_send` and `_hits` do not

    async def abatch(self, ops: Iterable[Op]) -> list[Any]:
        """Performs operations in a thread. `AsyncContextStore` needs none."""
        return await asyncio.to_thread(self.batch, ops)

    async def _send(self, work: list[Work]) -> list[Any]:
        with self._client.batch() as batch:
            results = [add(batch.session(self._namespace.name, id_)) for id_, add in work]
        return [result.value for result in results]

    async def _hits(self, **query: Any) -> AsyncIterator[Hit]:  # noqa: ANN401
        for hit in self._namespace.find(**query):
            yield hit


class AsyncContextStore(Store, AsyncBatchedBaseStore):
    """A store for one event loop of asyncio, in which it is created. Concurrent calls share requests.

    Its synchronous methods are for other threads. For the arguments see `ContextStore`.
    """

    def __init__(
        self, client: AsyncContextClient, namespace: str = "memory", *, ttl: TTLConfig | None = None
    ) -> None:
        super().__init__()
        self._client = client
        self._namespace = client.namespace(namespace)
        self.ttl_config = ttl

    async def abatch(self, ops: Iterable[Op]) -> list[Any]:
        """Performs operations: the reads, and then the writes."""
        return await self.perform(list(ops))

    async def _send(self, work: list[Work]) -> list[Any]:
        async with self._client.batch() as batch:
            results = [add(batch.session(self._namespace.name, id_)) for id_, add in work]
        return [result.value for result in results]

    def _hits(self, **query: Any) -> AsyncIterator[Hit]:  # noqa: ANN401
        return self._namespace.find(**query)
