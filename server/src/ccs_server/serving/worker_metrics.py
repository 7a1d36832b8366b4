"""The metrics of a worker that show a state: slots, queue, connections, and what the application tells of itself.

They are set once a second, by a thread, so that requests do not pay for them. Prometheus sees the workers' sum, in
which only living workers count.
"""

from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram

from ccs_server.http.metrics import observe_all
from ccs_server.serving.admission import Occupancy

INTERVAL_SECONDS = 1.0
"""How often they are set."""

_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

_slots = Gauge(
    "ccs_slots", "Requests that the workers run at once, at most.", multiprocess_mode="livesum"
)
_busy = Gauge("ccs_slots_busy", "Requests that run now.", multiprocess_mode="livesum")
_queued = Gauge(
    "ccs_queued_requests", "Requests that wait for a slot.", multiprocess_mode="livesum"
)
_waits = Histogram(
    "ccs_queue_wait_seconds",
    "How long requests that had to wait for a slot have waited.",
    buckets=_BUCKETS,
)
_connections = Gauge(
    "ccs_connections",
    "Open connections of clients, counted every quarter of CCS_REQUEST_TIME (Linux).",
    multiprocess_mode="livesum",
)
_connection_limit = Gauge(
    "ccs_connection_limit",
    "Connections of clients that the workers accept at most.",
    multiprocess_mode="livesum",
)
_closed = Counter(
    "ccs_connections_closed_total",
    "Connections that a worker has closed: stalled ones, and silent or idle ones when there was no room.",
    ["reason"],
)
for _reason in ("stalled", "full"):
    _closed.labels(_reason)  # a rate sees the first one only if there was a 0 before


class ConnectionMetrics:
    """Counts the connections of a worker, for `connections.keep_closing`."""

    def __init__(self, limit: int) -> None:
        _connection_limit.set(limit)

    @staticmethod
    def open(count: int) -> None:
        """There are so many connections."""
        _connections.set(count)

    @staticmethod
    def closed(reason: str, count: int) -> None:
        """So many connections were closed."""
        _closed.labels(reason).inc(count)


class OccupancyMetrics:
    """Shows how full a worker is.

    Args:
        slots: how many requests it may run at once.
        look: looks at it; returns also how long requests have waited that it let run since the last look.
    """

    def __init__(self, slots: int, look: Callable[[], tuple[Occupancy, Sequence[float]]]) -> None:
        self._look = look
        _slots.set(slots)

    def update(self) -> None:
        """Sets the metrics."""
        occupancy, waits = self._look()
        _busy.set(occupancy.running)
        _queued.set(occupancy.waiting)
        if waits:
            observe_all(_waits, _BUCKETS, waits)
