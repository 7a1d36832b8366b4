"""Latency against load: one request at fractions of the highest throughput, as from independent users."""

from statistics import median
from typing import Any

from benchmarks.lab import Lab
from benchmarks.load import Load
from benchmarks.parts.comparison import DATABASE
from benchmarks.stacks.base import Stack
from benchmarks.stacks.floor import Floor
from benchmarks.stacks.service import Service

OPERATIONS = ("read_all", "patch_1")
USERS = 64


def run(lab: Lab) -> dict[str, Any]:
    """Measures the service and the floor in turn."""
    service = Service(lab.instance(DATABASE), lab.scale.sessions)
    floor = Floor(service, lab.directory, lab.postgres.url(DATABASE))
    try:
        return {
            operation: {stack.name: _curve(lab, stack, operation) for stack in (service, floor)}
            for operation in OPERATIONS
        }
    finally:
        floor.stop()


def pause_for(stack: Stack, operation: str, per_second: float) -> float:
    """Returns the pause of each user, in ms, at which all users together send `per_second` requests."""
    between = 1000 * USERS / per_second
    tried = stack.measure(operation, Load(USERS, 1, think_ms=between))
    own_time = 1000 * USERS / tried.per_second - between
    return max(0.5, between - own_time)


def at_pause(stack: Stack, operation: str, pause: float, seconds: float) -> dict[str, float]:
    """Measures the latency for users with this mean pause, in ms."""
    measured = stack.measure(operation, Load(USERS, seconds, think_ms=pause))
    return {
        "per_second": measured.per_second,
        "p50": measured.p50,
        "p99": measured.p99,
        "max": measured.max,
    }


def _curve(lab: Lab, stack: Stack, operation: str) -> dict[str, Any]:
    seconds, rounds = lab.scale.seconds, range(lab.scale.rounds)
    highest = median(stack.measure(operation, Load(USERS, seconds)).per_second for _ in rounds)
    points = []
    for fraction in lab.scale.load_fractions:
        pause = pause_for(stack, operation, highest * fraction)
        seen = [at_pause(stack, operation, pause, seconds) for _ in rounds]
        medians = {figure: median(each[figure] for each in seen) for figure in seen[0]}
        points.append({"fraction": fraction, **medians, "rounds": seen})
    return {"highest_per_second": highest, "points": points}
