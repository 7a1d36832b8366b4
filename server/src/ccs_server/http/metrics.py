"""The metrics of requests. `prometheus_client` keeps each process's in files, so that one page shows those of all."""

from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from ccs_server.http import log
from ccs_server.http.exchanges import Exchange
from ccs_server.http.routing import METHODS

_OTHER = "other"
"""The label of methods that no route has: were it the method, each that a client makes up would be a series."""

_durations = Histogram(
    "ccs_request_duration_seconds",
    "Time from a request's arrival at the application to its response.",
    ["method", "path", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_dropped_lines = Counter(
    "ccs_log_lines_dropped",
    "Lines of the log that were dropped because standard error could not be written.",
)
log.call_on_drop(_dropped_lines.inc)

# A metric's labels() costs as much as its observe(). There are as many as there are routes, methods and statuses.
_series: dict[tuple[str, str, int], Histogram] = {}


def count(exchanges: Sequence[Exchange]) -> None:
    """Counts and times the exchanges."""
    for exchange in exchanges:
        labels = exchange.method, exchange.rule, exchange.status
        series = _series.get(labels)
        (series or _new_series(*labels)).observe(exchange.duration)


def _new_series(method: str, rule: str, status: int) -> Histogram:
    label = method if method in METHODS else _OTHER
    series = _durations.labels(label, rule, str(status))
    if label == method:
        _series[method, rule, status] = series
    return series
