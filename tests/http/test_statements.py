"""The metrics of statements: counted by name, timed by round trip, in a bounded number of series."""

from time import monotonic

from prometheus_client import REGISTRY

from ccs_server.http.statements import MOST_WAITING, Statements, TracedStatements
from ccs_server.http.tracing import Trace, current


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_each_statement_is_counted_and_each_round_trip_is_timed() -> None:
    statements = Statements()
    for names in ([b"test_a"], [b"test_a"], [b"test_a", b"test_b", b"test_b"]):
        statements.add(names, monotonic() - 0.02, None)
    pipelines = value("ccs_statement_duration_seconds_count", statement="pipeline")
    statements.count()
    assert value("ccs_statements_total", statement="test_a") == 3
    assert value("ccs_statements_total", statement="test_b") == 2
    assert value("ccs_statement_duration_seconds_count", statement="test_a") == 2
    assert 0.04 <= value("ccs_statement_duration_seconds_sum", statement="test_a") < 10
    assert value("ccs_statement_duration_seconds_count", statement="pipeline") == pipelines + 1
    statements.count()
    assert value("ccs_statements_total", statement="test_a") == 3


def test_failures_are_counted_by_their_kind() -> None:
    statements = Statements()
    before = value("ccs_statement_failures_total", error="Unavailable")
    statements.add([b"test_c"], monotonic(), "Unavailable")
    statements.count()
    assert value("ccs_statement_failures_total", error="Unavailable") == before + 1
    assert value("ccs_statements_total", statement="test_c") == 1


def test_a_round_trip_belongs_to_the_trace_of_the_request_that_waits_for_it() -> None:
    statements = TracedStatements()
    trace = Trace(b"\x0a" * 16, b"")
    statements.add([b"test_d"], 1.0, None)
    current.trace = trace
    statements.add([b"test_e"], 2.0, None)
    current.trace = None
    statements.add([b"test_f"], 3.0, None)
    [(names, began, ended, error)] = trace.round_trips
    assert (names, began, error) == ([b"test_e"], 2.0, None)
    assert ended > began
    statements.count()
    assert value("ccs_statements_total", statement="test_f") == 1


def test_round_trips_that_no_request_waits_for_are_counted_too() -> None:
    """Those of an idle worker's event streams, for example: they would otherwise fill its memory."""
    statements = Statements()
    for _ in range(MOST_WAITING):
        statements.add([b"test_g"], monotonic(), None)
    assert value("ccs_statements_total", statement="test_g") == MOST_WAITING
