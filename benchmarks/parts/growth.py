"""Compares the service with a small and a large store, measured in turn."""

import time
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Load
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import NAMESPACE, Service

LARGE = "ccs_large"
_SMALL = "ccs_small"
_SMALL_SESSIONS = 1_000
_OPERATIONS = ("read_all", "patch_1")
_CONNECTIONS = 16


def run(lab: Lab) -> dict[str, Any]:
    """Measures reading all and saving one, with 10,000 properties and with millions."""
    small = Service(lab.instance(_SMALL), _SMALL_SESSIONS)
    large = Service(lab.instance(LARGE), 1)
    more = session_numbers(lab.scale.grown_sessions)[1:]
    begin = time.perf_counter()
    with lab.postgres.connect(LARGE) as connection:
        bulk.load(connection, NAMESPACE, more, bulk.document())
        loaded = time.perf_counter() - begin
        bulk.settle(connection)
    large.sessions = lab.scale.grown_sessions
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
        "properties": {"small": 10 * _SMALL_SESSIONS, "large": 10 * lab.scale.grown_sessions},
        "copy_seconds": loaded,
        **figures,
    }
