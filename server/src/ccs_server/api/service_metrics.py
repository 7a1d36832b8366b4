"""The metrics of an application's caches, connections to the database and event streams, for a thread to update."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from ccs_server.api.services import Services

if TYPE_CHECKING:
    from ccs_server.domain.ttl_cache import TTLCache

_cache_requests = Counter(
    "ccs_cache_requests_total",
    "Look-ups in the caches of credentials and signing keys, by cache and result (hit, miss).",
    ["cache", "result"],
)
_connections = Gauge(
    "ccs_database_connections",
    "Open connections of the workers to the database, by state (used, idle).",
    ["state"],
    multiprocess_mode="livesum",
)
_opened = Counter(
    "ccs_database_connections_opened_total", "Connections that were opened to the database."
)
_failed = Counter(
    "ccs_database_connect_failures_total",
    "Attempts to connect to the database that failed.",
)
_streams = Gauge("ccs_streams", "Event streams that are open.", multiprocess_mode="livesum")


class ServiceMetrics:
    """Turns the counts that an application's caches, database and event streams keep into metrics."""

    def __init__(self, services: Services, count_streams: Callable[[], int]) -> None:
        self._count_streams = count_streams
        self._database = services.database
        caches: dict[str, TTLCache[Any]] = {
            "keys": services.accounts_of_keys,
            "tokens": services.tenants_of_tokens,
            "session_tokens": services.accounts_of_session_tokens,
            "signing_keys": services.signing_keys,
        }
        self._cache_counts = [
            (cache, result, _Total(_cache_requests.labels(name, result)))
            for name, cache in caches.items()
            for result in ("hit", "miss")
        ]
        self._opened = _Total(_opened)
        self._failed = _Total(_failed)

    def update(self) -> None:
        """Sets the metrics. One thread at a time may call it."""
        for cache, result, total in self._cache_counts:
            total.reach(cache.hits if result == "hit" else cache.misses)
        _streams.set(self._count_streams())
        usage = self._database.usage()
        _connections.labels("used").set(usage.used)
        _connections.labels("idle").set(usage.idle)
        self._opened.reach(usage.opened)
        self._failed.reach(usage.failed)


class _Total:
    """Increases a counter to a total that is kept elsewhere."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._reached = 0

    def reach(self, total: int) -> None:
        if total > self._reached:
            self._counter.inc(total - self._reached)
            self._reached = total
