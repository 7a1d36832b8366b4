"""The metrics of requests: batches are counted as one request after the other would be."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from ccs_server.http import metrics
from ccs_server.http.exchanges import Exchange

# On the bounds of buckets, between them, and outside of them.
DURATIONS = (0.0, 0.001, 0.0011, 0.0025, 0.003, 0.003, 0.7, 1.0, 10.0, 11.5)


def exchange(duration: float, *, status: int = 200, method: str = "GET") -> Exchange:
    return Exchange("id-1", method, "/a/b", "/a/<b>", status, 0.0, duration)


@pytest.fixture
def expected() -> Iterator[Histogram]:
    """A histogram of its own, observed in the documented way."""
    names = "method", "path", "status"
    durations = Histogram(
        "expected", "For comparison.", names, buckets=metrics._BUCKETS, registry=CollectorRegistry()
    )
    yield durations
    durations.clear()


def values(histogram: Histogram, **labels: str) -> dict[tuple[str, str | None], float]:
    """The samples with these labels, but for the time of their creation."""
    [metric] = histogram.collect()
    return {
        (sample.name.removeprefix(metric.name), sample.labels.get("le")): sample.value
        for sample in metric.samples
        if labels.items() <= sample.labels.items() and not sample.name.endswith("_created")
    }


def test_a_batch_is_counted_as_its_requests_one_by_one(expected: Histogram) -> None:
    for status in (200, 404):
        for duration in DURATIONS:
            expected.labels("GET", "/a/<b>", str(status)).observe(duration)
    for batch in (DURATIONS[:7], DURATIONS[7:]):
        metrics.count([exchange(each, status=status) for each in batch for status in (200, 404)])
    for label in ("200", "404"):
        labels = {"method": "GET", "path": "/a/<b>", "status": label}
        counted = values(metrics._durations, **labels)
        assert counted == pytest.approx(values(expected, **labels))
        assert counted["_count", None] == len(DURATIONS)


def test_methods_that_no_route_has_are_one_series() -> None:
    metrics.count([exchange(0.1, method=method, status=405) for method in ("BREW", "get")])
    labels = {"method": "other", "path": "/a/<b>", "status": "405"}
    assert REGISTRY.get_sample_value("ccs_request_duration_seconds_count", labels) == 2
