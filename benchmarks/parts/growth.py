"""Compares the service with a small and a large store, measured in turn."""

import time
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Load
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import NAMESPACE, Service

LARGE = "ccs_large"
_HUGE = "ccs_huge"
_SMALL = "ccs_small"
_SMALL_SESSIONS = 1_000
_OPERATIONS = ("read_all", "patch_1")
_CONNECTIONS = 16


def run(lab: Lab) -> dict[str, Any]:
    """Measures reading all and saving one, with 10,000 properties and with millions."""
    return _compare(lab, LARGE, lab.scale.grown_sessions)


def run_huge(lab: Lab) -> dict[str, Any]:
    """Does the same with ten times as many properties. It takes minutes and 15 GB of disk, so it runs on demand."""
    return _compare(lab, _HUGE, lab.scale.huge_sessions)


def _compare(lab: Lab, database: str, sessions: int) -> dict[str, Any]:
    small = Service(lab.instance(_SMALL), _SMALL_SESSIONS)
    large = Service(lab.instance(database), 1)
    more = session_numbers(sessions)[1:]
    begin = time.perf_counter()
    with lab.postgres.connect(database) as connection:
        bulk.load(connection, NAMESPACE, more, bulk.document())
        loaded = time.perf_counter() - begin
        bulk.settle(connection)
        row = connection.execute("SELECT pg_total_relation_size('property')").fetchone()
        assert row is not None
    large.sessions = sessions
    load = Load(_CONNECTIONS, lab.scale.seconds)
    figures: dict[str, Any] = {operation: {"small": [], "large": []} for operation in _OPERATIONS}
    # The first round warms up the caches and is not counted.
    for round_ in range(lab.scale.rounds + 1):
        for operation in _OPERATIONS:
            for name, service in (("small", small), ("large", large)):
                measured = service.measure(operation, load)
                if round_:
                    figures[operation][name].append(
                        {
                            "per_second": measured.per_second,
                            "p50": measured.p50,
                            "p99": measured.p99,
                        }
                    )
    return {
        "properties": {"small": 10 * _SMALL_SESSIONS, "large": 10 * sessions},
        "large_bytes": row[0],
        "copy_seconds": loaded,
        **figures,
    }
