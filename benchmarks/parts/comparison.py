"""Measures all operations on all stacks in turn, so that disturbances affect all stacks equally."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from benchmarks.lab import Lab, Sample
from benchmarks.load import Load
from benchmarks.stacks.base import HttpStack, MissingError, Stack
from benchmarks.stacks.etcd import Etcd
from benchmarks.stacks.floor import Floor
from benchmarks.stacks.kinto import Kinto
from benchmarks.stacks.pgbench import Pgbench
from benchmarks.stacks.service import TTL_SECONDS, Service
from benchmarks.stacks.webdis import Webdis

DATABASE = "ccs"


def run(lab: Lab) -> dict[str, Any]:
    """Measures every operation on every available stack."""
    with ExitStack() as cleanup:
        stacks = _stacks(lab, cleanup)
        for stack in stacks:
            if isinstance(stack, HttpStack):
                stack.check()
        samples: dict[tuple[str, str, int], list[Sample]] = {}
        for round_ in range(lab.scale.rounds):
            lab.postgres.checkpoint()
            for connections in lab.scale.connections:
                load = Load(connections, lab.scale.seconds)
                for operation in lab.scale.operations:
                    turns = [stack for stack in stacks if operation in stack.operations]
                    for stack in turns[round_ % len(turns) :] + turns[: round_ % len(turns)]:
                        key = (operation, stack.name, connections)
                        samples.setdefault(key, []).append(lab.sample(stack, operation, load))
            print(f"  round {round_ + 1} of {lab.scale.rounds}", flush=True)
        return {
            "stacks": {stack.name: stack.title for stack in stacks},
            "samples": [
                {
                    "operation": operation,
                    "stack": stack_name,
                    "connections": connections,
                    "rounds": [sample_figures(sample) for sample in rounds],
                }
                for (operation, stack_name, connections), rounds in samples.items()
            ],
            "stalls": {stack.name: stack.stalls for stack in stacks if stack.stalls},
            "memory": {stack.name: _memory(stack) for stack in stacks if stack.programs},
        }


def _stacks(lab: Lab, cleanup: ExitStack) -> list[Stack]:
    scale = lab.scale
    instance = lab.instance(DATABASE)
    url = lab.postgres.url(DATABASE)
    service = Service(instance, scale.sessions)
    stacks: list[Stack] = [
        service,
        Service(instance, scale.sessions, ttl_seconds=TTL_SECONDS),
        Floor(service, lab.directory, url),
    ]
    cleanup.callback(stacks[-1].stop)
    stacks.append(Pgbench(scale.sessions, url))
    stacks += peers(lab, cleanup, "comparison", ("kinto", "webdis", "etcd"))
    with lab.postgres.connect(DATABASE) as connection:
        connection.execute("VACUUM ANALYZE")
    return stacks


def peers(lab: Lab, cleanup: ExitStack, part: str, names: Iterable[str]) -> list[Stack]:
    """Starts the named peers for a part. Those that cannot run here are recorded as missing."""
    scale, directory = lab.scale, lab.directory / part
    directory.mkdir()
    makers: dict[str, Callable[[], Stack]] = {
        "kinto": lambda: Kinto(
            scale.kinto_sessions, directory, lab.postgres.create(f"kinto_{part}")
        ),
        "webdis": lambda: Webdis(scale.sessions, directory),
        "etcd": lambda: Etcd(scale.sessions, directory),
    }
    started = []
    for name in names:
        if not scale.peers:
            lab.missing[name] = f"not included at the scale '{scale.name}'"
            continue
        try:
            stack = makers[name]()
        except MissingError as missing:
            lab.missing[name] = str(missing)
        else:
            cleanup.callback(stack.stop)
            started.append(stack)
    return started


def sample_figures(sample: Sample) -> dict[str, float]:
    """Returns the figures of a sample, ready for JSON."""
    return {
        "operations_per_second": sample.operations_per_second,
        "cpu_stack_us": sample.cpu_stack,
        "cpu_database_us": sample.cpu_database,
        **asdict(sample.measurement),
    }


def _memory(stack: Stack) -> dict[str, Any]:
    return {
        "total_bytes": stack.usage().memory,
        "workers_bytes": [memory for program in stack.programs for memory in program.workers()],
    }
