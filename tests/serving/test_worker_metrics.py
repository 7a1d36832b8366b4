"""The metrics of a worker's state."""

from threading import Event

import pytest
from prometheus_client import REGISTRY

from ccs_server.serving import worker_metrics
from ccs_server.serving.admission import Occupancy
from ccs_server.serving.worker_metrics import ConnectionMetrics, OccupancyMetrics, keep_updating
from tests.support.waiting import wait_until


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


def test_they_are_updated_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_metrics, "_INTERVAL_SECONDS", 0.001)
    calls: list[int] = []
    stop = Event()
    keep_updating(lambda: calls.append(1), lambda: calls.append(2), stop=stop)
    wait_until(lambda: len(calls) >= 6)
    stop.set()
    assert calls[:4] == [1, 2, 1, 2]
