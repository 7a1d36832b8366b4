"""Effect of background work on other requests: `deletion` of a large namespace, `purge` of expired rows, `erasure`."""

import json
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
    request_seconds = 0.0

    def begin() -> Callable[[], bool]:
        nonlocal request_seconds
        client = Client(instance.port)
        began = time.perf_counter()
        path = f"/v1/account/{ACCOUNT}/{namespace}"
        client.send(Request("DELETE", path, status=204, headers=instance.headers))
        client.close()
        request_seconds = time.perf_counter() - began
        return _purge(lab, instance)

    figures = _disturb(lab, instance, begin)
    return {"rows": lab.scale.million, "request_seconds": request_seconds, **figures}


def purge(lab: Lab) -> dict[str, Any]:
    """Purges a million expired rows, while other clients read and save."""
    sessions = session_numbers(lab.scale.million // 10)
    with lab.postgres.connect(_database(lab)) as connection:
        bulk.load(
            connection, "expired", sessions, bulk.document(),
            expires_at=datetime.now(UTC) - timedelta(hours=1),
        )  # fmt: skip
        bulk.settle(connection)
    instance = lab.instance(LARGE)
    return {
        "rows": lab.scale.million,
        **_disturb(lab, instance, lambda: _purge(lab, instance)),
    }


def erasure(lab: Lab) -> dict[str, Any]:
    """Erases a person from a million properties, while other clients read and save."""
    namespace = "erased"
    sessions = session_numbers(lab.scale.million // 10)
    instance = lab.instance(LARGE)
    headers = instance.new_headers("--scope", "admin")
    with lab.postgres.connect(LARGE) as connection:
        bulk.load(connection, namespace, sessions, bulk.document())
        bulk.settle(connection)
    client = Client(instance.port)
    path = f"/v1/account/{ACCOUNT}/{namespace}/{sessions[0]}/properties/phone"
    client.send(Request("PUT", path, '"+49 30 901820"', 204, headers))
    jobs = f"/ext/v1/{ACCOUNT}/jobs"
    job: dict[str, Any] = {}

    def begin() -> Callable[[], bool]:
        match = {"value": ["+49 30 901820"]}
        body = {"kind": "erase", "match": match, "ns": [namespace], "reference": "benchmark"}
        job.update(json.loads(client.send(Request("POST", jobs, json.dumps(body), 202, headers))))

        def is_left() -> bool:
            job.update(
                json.loads(client.send(Request("GET", f"{jobs}/{job['id']}", headers=headers)))
            )
            return job["state"] in {"queued", "running"}

        return is_left

    figures = _disturb(lab, instance, begin)
    client.close()
    if job["state"] != "done" or job["progress"]["properties"] != 1:
        raise RuntimeError(f"the erasure has not erased the one property: {job}")
    started, finished = (datetime.fromisoformat(job[name]) for name in ("startedAt", "finishedAt"))
    examined = job["progress"]["examined"]
    return {
        "rows": examined,
        "per_second": examined / (finished - started).total_seconds(),
        **figures,
    }


def _purge(lab: Lab, instance: Instance) -> Callable[[], bool]:
    """Starts `ccs purge`. Returns a function that says whether it still has work."""
    purging = instance.start_ccs("purge")

    def is_left() -> bool:
        if purging.poll():
            raise RuntimeError(f"ccs purge ended with {purging.returncode}")
        return purging.returncode is None or _rows_are_left(lab)

    return is_left


def _database(lab: Lab) -> str:
    lab.instance(LARGE)
    return LARGE


def _disturb(
    lab: Lab, instance: Instance, begin: Callable[[], Callable[[], bool]]
) -> dict[str, Any]:
    """Measures latency at half of the highest throughput, without and with work in the background.

    Args:
        lab: the lab.
        instance: the service.
        begin: begins the work, and returns a function that says whether some of it is left.
    """
    others = Service(instance, _OTHERS_SESSIONS)
    slice_seconds = min(2.0, lab.scale.seconds)
    pauses = {}
    for operation in _OPERATIONS:
        highest = others.measure(operation, Load(USERS, lab.scale.seconds)).per_second
        pauses[operation] = pause_for(others, operation, highest / 2)

    def slice_of(operation: str) -> dict[str, float]:
        return at_pause(others, operation, pauses[operation], slice_seconds)

    quiet = {operation: [slice_of(operation) for _ in range(3)] for operation in _OPERATIONS}
    began = time.perf_counter()
    is_left = begin()
    busy: dict[str, list[dict[str, float]]] = {operation: [] for operation in _OPERATIONS}
    longest = 0.0
    while is_left():
        for operation in _OPERATIONS:
            measured = slice_of(operation)
            longest = max(longest, _longest_transaction(lab))
            # A slice that ended after the work is partly quiet. It counts only if there is no other.
            if is_left() or not busy[operation]:
                busy[operation].append(measured)
        if time.perf_counter() - began > _DEADLINE_SECONDS:
            raise RuntimeError(f"the work has not ended after {_DEADLINE_SECONDS} s")
    return {
        "seconds": time.perf_counter() - began,
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


def _rows_are_left(lab: Lab) -> bool:
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
