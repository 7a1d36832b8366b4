"""The metrics of requests. `prometheus_client` keeps each process's in files, so that one page shows those of all."""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from ccs_server.http import log
from ccs_server.http.exchanges import Exchange
from ccs_server.http.routing import METHODS

_OTHER = "other"
"""The label of methods that no route has: were it the method, each that a client makes up would be a series."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_durations = Histogram(
    "ccs_request_duration_seconds",
    "Time from a request's arrival at the application to its response.",
    ["method", "path", "status"],
    buckets=_BUCKETS,
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
    durations: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
    for exchange in exchanges:
        durations[exchange.method, exchange.rule, exchange.status].append(exchange.duration)
    for labels, those in durations.items():
        observe_all(_series.get(labels) or _new_series(*labels), _BUCKETS, those)


def observe_all(series: Histogram, buckets: Sequence[float], values: Sequence[float]) -> None:
    """Does what `series.observe` does with each value, in a tenth of the time: what changes is written once.

    Args:
        series: the histogram, with its labels.
        buckets: those that the histogram was made with.
        values: what to observe.
    """
    series._sum.inc(sum(values))  # noqa: SLF001 - tests/http/test_metrics.py compares it with `observe`
    for bucket, number in Tally(bisect_left(buckets, each) for each in values).items():
        series._buckets[bucket].inc(number)  # noqa: SLF001


def _new_series(method: str, rule: str, status: int) -> Histogram:
    label = method if method in METHODS else _OTHER
    series = _durations.labels(label, rule, str(status))
    if label == method:
        _series[method, rule, status] = series
    return series
