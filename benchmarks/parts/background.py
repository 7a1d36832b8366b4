"""Effect of background work on other requests: `deletion` of a large namespace, `purge` of expired rows."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks import bulk
from benchmarks.lab import Lab
from benchmarks.load import Client, Load, Request
from benchmarks.parts.growth import LARGE
from benchmarks.parts.latency import USERS, at_pause, pause_for
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, Instance, Service

_PER_SESSION = 1_000
_OPERATIONS = ("read_all", "patch_1")
_OTHERS_SESSIONS = 1_000
_DEADLINE_SECONDS = 300


def deletion(lab: Lab) -> dict[str, Any]:
    """Deletes a namespace of a million properties and purges it, while other clients read and save."""
    namespace = "deleted"
    sessions = session_numbers(lab.scale.million // _PER_SESSION)
    with lab.postgres.connect(_database(lab)) as connection:
        bulk.load(connection, namespace, sessions, bulk.numbered(_PER_SESSION))
        bulk.settle(connection)
    instance = lab.instance(LARGE)

    def delete() -> float:
        client = Client(instance.port)
        begin = time.perf_counter()
        path = f"/v1/account/{ACCOUNT}/{namespace}"
        client.send(Request("DELETE", path, status=204, headers=instance.headers))
        client.close()
        return time.perf_counter() - begin

    return _disturb(lab, instance, delete)


def purge(lab: Lab) -> dict[str, Any]:
    """Purges a million expired rows, while other clients read and save."""
    sessions = session_numbers(lab.scale.million // 10)
    with lab.postgres.connect(_database(lab)) as connection:
        bulk.load(
            connection, "expired", sessions, bulk.document(),
            expires_at=datetime.now(UTC) - timedelta(hours=1),
        )  # fmt: skip
        bulk.settle(connection)
    return _disturb(lab, lab.instance(LARGE), lambda: 0.0)


def _database(lab: Lab) -> str:
    lab.instance(LARGE)
    return LARGE


def _disturb(lab: Lab, instance: Instance, begin_work: Callable[[], float]) -> dict[str, Any]:
    """Measures latency at half of the highest throughput, without and with `ccs purge` running."""
    others = Service(instance, _OTHERS_SESSIONS)
    slice_seconds = min(2.0, lab.scale.seconds)
    pauses = {}
    for operation in _OPERATIONS:
        highest = others.measure(operation, Load(USERS, lab.scale.seconds)).per_second
        pauses[operation] = pause_for(others, operation, highest / 2)

    def slice_of(operation: str) -> dict[str, float]:
        return at_pause(others, operation, pauses[operation], slice_seconds)

    quiet = {operation: [slice_of(operation) for _ in range(3)] for operation in _OPERATIONS}
    request_seconds = begin_work()
    began = time.perf_counter()
    busy: dict[str, list[dict[str, float]]] = {operation: [] for operation in _OPERATIONS}
    longest = 0.0
    purging = instance.start_ccs("purge")
    while _work_is_left(lab) or purging.poll() is None:
        for operation in _OPERATIONS:
            measured = slice_of(operation)
            longest = max(longest, _longest_transaction(lab))
            # A slice that ended after the work is partly quiet. It counts only if there is no other.
            if _work_is_left(lab) or not busy[operation]:
                busy[operation].append(measured)
        if time.perf_counter() - began > _DEADLINE_SECONDS:
            raise RuntimeError(f"ccs purge has not finished after {_DEADLINE_SECONDS} s")
    finished = time.perf_counter()
    if purging.returncode:
        raise RuntimeError(f"ccs purge ended with {purging.returncode}")
    return {
        "rows": lab.scale.million,
        "request_seconds": request_seconds,
        "seconds": finished - began,
        "longest_transaction_seconds": longest,
        **{
            operation: {
                "quiet_p99": median(each["p99"] for each in quiet[operation]),
                "busy_p99": median(each["p99"] for each in busy[operation]),
                "quiet": quiet[operation],
                "busy": busy[operation],
            }
            for operation in _OPERATIONS
        },
    }


def _work_is_left(lab: Lab) -> bool:
    """Returns whether there are rows that the purge has yet to delete."""
    with lab.postgres.connect(LARGE) as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM deleted_namespace d WHERE EXISTS (SELECT FROM property p"
            "  WHERE p.account = d.account AND p.namespace_id = d.namespace_id))"
            " OR EXISTS (SELECT FROM property WHERE expires_at < now())"
        ).fetchone()
    assert row is not None
    return bool(row[0])


def _longest_transaction(lab: Lab) -> float:
    """Returns the age of the oldest open transaction of the service's database, in seconds."""
    with lab.postgres.connect(LARGE) as connection:
        row = connection.execute(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)"
            " FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return float(row[0])
