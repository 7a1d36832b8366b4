"""LangGraph's long-term memory, a `BaseStore`: `pip install 'ccs-sdk[langgraph]'`.

Each item is a session. Its fields are properties, so that the service can filter by them, and the property `item` has
its address and times. There is no search by meaning: `query` and `index` have no effect.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from math import ceil
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import unquote

from langgraph.store import base, memory
from langgraph.store.base.batch import AsyncBatchedBaseStore

from ccs_sdk import BatchProperties, ContextClient, Hit, Result
from ccs_sdk._json import JSON
from ccs_sdk.adapters._entries import completed, each, escaped, perform, session_id
from ccs_sdk.aio import AsyncContextClient

__all__ = ["AsyncContextStore", "ContextStore"]

ClientT = TypeVar("ClientT", bound=ContextClient | AsyncContextClient)
Properties: TypeAlias = Mapping[str, Any]

_PAGE: Final = 1000


class _Store(base.BaseStore, Generic[ClientT]):
    supports_ttl = True

    def __init__(
        self, client: ClientT, namespace: str = "memory", *, ttl: base.TTLConfig | None = None
    ) -> None:
        super().__init__()
        self._client = client
        self._namespace = client.namespace(namespace)
        self.ttl_config = ttl

    async def _perform(self, ops: list[base.Op]) -> list[Any]:
        """Performs the reads, of what was stored before, and then the writes: the last of each item."""
        puts = {_id(op): op for op in ops if isinstance(op, base.PutOp)}
        ids = {_id(op) for op in ops if isinstance(op, base.GetOp)}
        ids |= {id_ for id_, put in puts.items() if put.value is not None}
        work = [(id_, BatchProperties.all) for id_ in ids]
        found = zip(ids, await perform(self._client, self._namespace.name, work), strict=True)
        stored = {id_: properties for id_, properties in found if "item" in properties}
        results: list[Any] = [None] * len(ops)
        read: dict[str, Properties] = {}
        for index, op in enumerate(ops):
            if isinstance(op, base.ListNamespacesOp):
                results[index] = await self._list_namespaces(op)
            elif isinstance(op, base.SearchOp):
                hits = await self._search(op)
                results[index] = [_item(base.SearchItem, hit.properties) for hit in hits]
                read |= {hit.session_id: hit.properties for hit in hits if op.refresh_ttl}
            elif isinstance(op, base.GetOp) and (properties := stored.get(_id(op))):
                results[index] = _item(base.Item, properties)
                read |= {_id(op): properties} if op.refresh_ttl else {}
        writes = [
            (id_, partial(BatchProperties.touch, ttl=properties["ttl"]))
            for id_, properties in read.items()
            if "ttl" in properties
        ]
        writes += [(id_, partial(_replace, put, stored.get(id_))) for id_, put in puts.items()]
        await perform(self._client, self._namespace.name, writes, operations=2)
        return results

    async def _search(self, op: base.SearchOp) -> list[Hit]:
        """Returns the page that is asked for, and reads no further than its end."""
        end = op.offset + op.limit
        where = {f"value.{name}": value for name, value in (op.filter or {}).items()}
        equal = {name: value for name, value in where.items() if _is_container(value)}
        where |= {name: {"$exists": True} for name in equal}  # `find` does not compare containers
        prefix, size = _prefix(op.namespace_prefix), min(max(end, 10), _PAGE)
        found: list[Hit] = []
        hits = self._namespace.find(where=where, fields=True, prefix=prefix, page_size=size)
        async for hit in each(hits):
            if "item" in hit.properties and equal.items() <= hit.properties.items():
                found.append(hit)
            if len(found) >= end:
                break
        return found[op.offset : end]

    async def _list_namespaces(self, op: base.ListNamespacesOp) -> list[tuple[str, ...]]:
        """Reads ids of items, a page at a time, and skips what follows of a page's last namespace."""
        paths = [path for kind, path in op.match_conditions or () if kind == "prefix"]
        known = [_prefix(takewhile("*".__ne__, path)) for path in paths]
        prefix = after = max(known, key=len, default="")
        found: dict[tuple[str, ...], None] = {}
        while len(found) < op.offset + op.limit:
            listing = self._namespace.iter_sessions(after=after or None, page_size=_PAGE)
            ids = await anext(each(listing.pages()), list[str]())
            below = [id_.split("::")[0] for id_ in ids if "::" in id_ and id_.startswith(prefix)]
            page = memory.InMemoryStore()  # LangGraph's own, which judges the conditions
            page.batch([base.PutOp(_labels(begin), "", {}) for begin in below])
            judged: list[Any] = page.batch([op._replace(limit=_PAGE, offset=0)])
            found |= dict.fromkeys(judged[0])
            if len(ids) < _PAGE or not ids[-1].startswith(prefix):
                break
            after = ids[-1]
            for begin in below[-1:]:
                top = begin.split(":")[: op.max_depth]
                whole = len(top) == op.max_depth and _labels(":".join(top)) in found
                after = max(
                    after, ":".join(top) + ";" if whole else begin + ":;"
                )  # `;` follows `:`
        return list(found)[op.offset : op.offset + op.limit]


class ContextStore(_Store[ContextClient]):
    """A store in a namespace of its own.

    Args:
        client: The client to send with. It stays open.
        namespace: The namespace of the service that has the items.
        ttl: The default time to live, in minutes, and whether reads renew it.
    """

    def batch(self, ops: Iterable[base.Op]) -> list[Any]:
        """Performs operations: the reads, and then the writes."""
        return completed(self._perform(list(ops)))

    async def abatch(self, ops: Iterable[base.Op]) -> list[Any]:
        """Performs operations in a thread. `AsyncContextStore` needs none."""
        return await asyncio.to_thread(self.batch, ops)


class AsyncContextStore(_Store[AsyncContextClient], AsyncBatchedBaseStore):
    """A store for one event loop of asyncio, in which it is created. Concurrent calls share requests.

    Its synchronous methods are for other threads. For the arguments see `ContextStore`.
    """

    async def abatch(self, ops: Iterable[base.Op]) -> list[Any]:
        """Performs operations: the reads, and then the writes."""
        return await self._perform(list(ops))


def _prefix(namespace: Iterable[str]) -> str:
    """Returns how the sessions of a namespace, and of those below it, begin."""
    return "".join(escaped(label).replace(":", "%3A") + ":" for label in namespace)


def _id(op: base.GetOp | base.PutOp) -> str:
    return session_id(_prefix(op.namespace), op.key)


def _labels(begin: str) -> tuple[str, ...]:
    return tuple(unquote(label) for label in begin.split(":"))


def _item(kind: type[base.Item], properties: Properties) -> base.Item:
    fields = [name for name in properties if name.startswith("value.")]
    value = {name.removeprefix("value."): properties[name] for name in fields}
    return kind(value=value, **properties["item"])


def _replace(op: base.PutOp, stored: Properties | None, session: BatchProperties) -> Result[Any]:
    """Saves or deletes an item. `stored` is what the service has of it."""
    deleted = session.clear()
    if op.value is None:
        return deleted
    now = datetime.now(UTC).isoformat()
    created = stored["item"]["created_at"] if stored else now
    item = {"namespace": op.namespace, "key": op.key, "created_at": created, "updated_at": now}
    ttl = {} if op.ttl is None else {"ttl": max(1, ceil(op.ttl * 60))}
    fields = {f"value.{name}": value for name, value in op.value.items()}
    return session.update({"item": item, **ttl, **fields}, ttl=ttl.get("ttl", 0))  # 0 is forever


def _is_container(wanted: JSON) -> bool:
    """Whether a filter is a list or an object, and not of operators."""
    if isinstance(wanted, Mapping):
        return not any(str(name).startswith("$") for name in wanted)
    return isinstance(wanted, list)
