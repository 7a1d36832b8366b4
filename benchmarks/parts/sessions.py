"""Lists of sessions: the first page must cost the same, regardless of the number and size of sessions."""

import json
from dataclasses import replace
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Load, Operation
from benchmarks.operations import v1
from benchmarks.parts.growth import LARGE
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, Service

_CONNECTIONS = 16


def run(lab: Lab) -> dict[str, Any]:
    """Measures page 0 with 1,000 sessions, with a million, and with sessions of 1,000 properties."""
    instance = lab.instance(LARGE)
    service = Service(instance, 1)
    shapes = {
        "few": (1_000, bulk.numbered(1)),
        "many": (lab.scale.million, bulk.numbered(1)),
        "wide": (200, bulk.numbered(1_000)),
    }
    with lab.postgres.connect(LARGE) as connection:
        for namespace, (sessions, properties) in shapes.items():
            bulk.load(connection, namespace, session_numbers(sessions), properties)
        bulk.settle(connection)
    operations: dict[str, Operation] = {}
    for namespace in shapes:
        ids = v1(ACCOUNT, namespace, instance.headers)["list_sessions"]
        [request] = ids.requests
        operations[f"session-ids {namespace}"] = ids
        path = request.path.replace("session-ids", "session-properties")
        operations[f"session-properties {namespace}"] = Operation.of(
            replace(request, path=path, right=lambda body: len(json.loads(body)) == 100)
        )
    # A page of sessions with 1,000 properties each contains more data, so it is not comparable.
    del operations["session-properties wide"]
    service.operations = operations
    service.check()
    load = Load(_CONNECTIONS, lab.scale.seconds)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in operations}
    for _ in range(lab.scale.rounds):
        for name in operations:
            measured = service.measure(name, load)
            rounds[name].append(
                {"per_second": measured.per_second, "p50": measured.p50, "p99": measured.p99}
            )
    return {
        "sessions": {namespace: sessions for namespace, (sessions, _) in shapes.items()},
        "rounds": rounds,
    }
