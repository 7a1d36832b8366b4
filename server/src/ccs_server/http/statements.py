"""The statements that requests execute: counted and timed for the metrics, and noted in their requests' traces."""

from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Sequence
from threading import Lock
from time import monotonic

from prometheus_client import Counter, Histogram

from ccs_server.http.exchanges import Exchange
from ccs_server.http.metrics import observe_all
from ccs_server.http.tracing import RoundTrip, current

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5)

MOST_WAITING = 1000
"""Round trips that wait to be counted. Those of requests are counted soon; others may be the only ones for long."""

_PIPELINE = b"pipeline"
"""The label of round trips with several statements: clients of the extension choose which, so any may come together."""

# A statement's name is a constant of the store, or made of an SQL verb and a table, so the series are bounded.
_executed = Counter(
    "ccs_statements_total",
    "Statements sent to the database, by name: that which they are prepared under, or their verb and table.",
    ["statement"],
)
_durations = Histogram(
    "ccs_statement_duration_seconds",
    "Time of a round trip to the database, by its statement, or 'pipeline' if it has several.",
    ["statement"],
    buckets=_BUCKETS,
)
_failures = Counter(
    "ccs_statement_failures_total",
    "Round trips to the database that failed, by the kind of error.",
    ["error"],
)
_failures.labels("Unavailable")  # a rate sees the first one only if there was a 0 before


class Statements:
    """Counts the round trips to the database, in batches as requests are counted."""

    def __init__(self) -> None:
        self._waiting: deque[RoundTrip] = deque()
        self._counting = Lock()

    def add(self, statements: Sequence[bytes], began: float, error: str | None) -> None:
        """Adds a round trip that has just come to its end.

        Args:
            statements: the names of its statements.
            began: when it began, on the monotonic clock.
            error: the class of the exception, if it failed.
        """
        self._keep((statements, began, monotonic(), error))

    def _keep(self, round_trip: RoundTrip) -> None:
        self._waiting.append(round_trip)
        if len(self._waiting) >= MOST_WAITING:
            self.count()

    def count(self, _exchanges: Sequence[Exchange] = ()) -> None:
        """Counts the round trips that wait: those of the exchanges, which have ended, are among them."""
        with self._counting:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        alike: defaultdict[tuple[bytes, ...], list[float]] = defaultdict(list)
        for names, began, ended, error in batch:
            alike[tuple(names)].append(ended - began)
            if error is not None:
                _failures.labels(error).inc()
        counts: Tally[bytes] = Tally()
        durations: defaultdict[bytes, list[float]] = defaultdict(list)
        for names, those in alike.items():
            for name in names:
                counts[name] += len(those)
            durations[names[0] if len(names) == 1 else _PIPELINE] += those
        for name, number in counts.items():
            _executed.labels(name.decode()).inc(number)
        for name, those in durations.items():
            observe_all(_durations.labels(name.decode()), _BUCKETS, those)


class TracedStatements(Statements):
    """The same, which also adds each round trip to the trace of the request that waits for it."""

    def add(self, statements: Sequence[bytes], began: float, error: str | None) -> None:
        """Adds a round trip that has just come to its end."""
        round_trip = statements, began, monotonic(), error
        self._keep(round_trip)
        trace = current.trace
        if trace is not None:
            trace.round_trips.append(round_trip)
