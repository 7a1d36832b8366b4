"""Connection pools that are safe to inherit in a fork.

urllib3 keeps idle connections in a queue with a lock. It closes them when the process exits, even
in a child that only inherited the pool. If another thread held the lock during the fork, the
child never exits.
"""

from queue import Empty, Full, LifoQueue
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager


class IdleConnections(LifoQueue[Any]):
    """The part of a queue that urllib3 uses, without a lock: `append` and `pop` of a list are atomic."""

    def __init__(self, maxsize: int) -> None:  # the base class would create locks
        self.maxsize = maxsize
        self._idle: list[Any] = []

    def get(self, block: bool = False, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002
        """Returns the most recently added connection, or raises Empty instead of waiting for one."""
        try:
            return self._idle.pop()
        except IndexError:
            raise Empty from None

    def put(self, item: Any, block: bool = False, timeout: float | None = None) -> None:  # noqa: ANN401, ARG002, FBT001, FBT002
        """Adds a connection, or raises Full. Concurrent calls may exceed the size."""
        if len(self._idle) >= self.maxsize:
            raise Full
        self._idle.append(item)

    def qsize(self) -> int:
        """Returns the number of idle connections."""
        return len(self._idle)


class _HTTPPool(HTTPConnectionPool):
    QueueCls = IdleConnections  # type: ignore[assignment]


class _HTTPSPool(HTTPSConnectionPool):
    QueueCls = IdleConnections  # type: ignore[assignment]


class ForkableAdapter(HTTPAdapter):
    """The adapter of `requests`, with pools that use `IdleConnections`."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Creates the pools of direct connections."""
        super().init_poolmanager(*arguments, **options)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> ProxyManager:  # noqa: ANN401
        """Returns the pools of connections through a proxy."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        _use_our_pools(manager)
        return manager


def _use_our_pools(manager: PoolManager) -> None:
    pools: dict[str, type[HTTPConnectionPool | HTTPSConnectionPool]] = {
        "http": _HTTPPool,
        "https": _HTTPSPool,
    }
    manager.pool_classes_by_scheme = pools
