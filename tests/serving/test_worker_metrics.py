"""The metrics of a worker's state."""

from prometheus_client import REGISTRY

from ccs_server.serving.admission import Occupancy
from ccs_server.serving.worker_metrics import ConnectionMetrics, OccupancyMetrics


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_they_show_how_full_the_worker_is_and_how_long_requests_waited() -> None:
    looks: list[tuple[Occupancy, list[float]]] = [
        (Occupancy(3, 7), [0.2, 0.3]),
        (Occupancy(0, 0), []),
    ]
    metrics = OccupancyMetrics(3, lambda: looks.pop(0))
    before = value("ccs_queue_wait_seconds_count")
    metrics.update()
    assert value("ccs_slots") == 3
    assert (value("ccs_slots_busy"), value("ccs_queued_requests")) == (3, 7)
    metrics.update()
    assert (value("ccs_slots_busy"), value("ccs_queued_requests")) == (0, 0)
    assert value("ccs_queue_wait_seconds_count") == before + 2


def test_they_show_connections_and_those_that_were_closed() -> None:
    metrics = ConnectionMetrics(1000)
    metrics.open(12)
    metrics.closed("stalled", 2)
    assert (value("ccs_connections"), value("ccs_connection_limit")) == (12, 1000)
    assert value("ccs_connections_closed_total", reason="stalled") == 2
