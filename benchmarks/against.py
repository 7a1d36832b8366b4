"""Compares two versions of the service: `nox -s bench -- --against COMMIT`.

Is the working tree slower than COMMIT? Both versions run at the same time on one PostgreSQL, each with its own
database, and are loaded in turn. A round measures each operation four times and yields one ratio. COMMIT is first and
last in one round, the working tree in the next, so a machine that becomes slower or faster affects both equally. Both
versions are restarted every few rounds, because the memory layout of a process can make it some percent slower for as
long as it runs.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import bulk, installed, lab, machine
from benchmarks.extension import EXTENSION_TITLES
from benchmarks.lab import Lab, Sample
from benchmarks.load import Load, WrongResponseError
from benchmarks.report import against as report
from benchmarks.scale import Scale
from benchmarks.stacks.service import NAMESPACE, Service

BEFORE, NOW = "before", "now"
_ROUNDS_PER_START = 4
_ORDERS = ((BEFORE, NOW, NOW, BEFORE), (NOW, BEFORE, BEFORE, NOW))


@dataclass(frozen=True)
class Plan:
    """The operations to compare, and the number and length of the measurements."""

    commit: str
    operations: Sequence[str]
    rounds: int
    seconds: float
    connections: int


def run(plan: Plan, scale: Scale, out: Path) -> None:
    """Runs the comparison, writes the figures into `out` after each round, and prints a table."""
    try:
        full = installed.full_name(plan.commit)
    except installed.UnknownCommitError as error:
        sys.exit(str(error))
    tree = machine.commit()
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"against-{full[:12]}.json"
    with lab.opened(scale) as opened:
        services = {
            BEFORE: _service(opened, BEFORE, installed.commit(full)),
            NOW: _service(opened, NOW, installed.working_tree(opened.directory / "working_tree")),
        }
        if not EXTENSION_TITLES.keys().isdisjoint(plan.operations):
            _extend(opened, services)
        operations, not_compared = _comparable(services, plan.operations)
        results: dict[str, Any] = {
            "machine": machine.machine(),
            "postgresql": opened.postgres.settings(),
            BEFORE: full[:12],
            NOW: tree,
            "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "load_before": round(os.getloadavg()[0], 2),
            "connections": plan.connections,
            "seconds": plan.seconds,
            "not_compared": not_compared,
            "rounds": [],
            "memory": {},
        }
        load = Load(plan.connections, plan.seconds)
        for number in range(plan.rounds):
            if number % _ROUNDS_PER_START == 0:
                _restart(opened, services, operations, load)
            opened.postgres.checkpoint()
            order = _ORDERS[number % len(_ORDERS)]
            figures = {name: _round(opened, services, name, order, load) for name in operations}
            results["rounds"].append(figures)
            results["memory"] = {name: _worker(service) for name, service in services.items()}
            file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            print(f"round {number + 1} of {plan.rounds}: {report.progress(figures)}", flush=True)
    results["load_after"] = round(os.getloadavg()[0], 2)
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = report.page(results)
    file.with_suffix(".md").write_text(page)
    print(f"\n{page}\nWritten: {file} and {file.with_suffix('.md').name}")


def _service(opened: Lab, name: str, version: installed.Installed) -> Service:
    service = Service(opened.instance(name, version), opened.scale.sessions)
    service.name = service.title = version.name
    return service


def _extend(opened: Lab, services: Mapping[str, Service]) -> None:
    for name, service in services.items():
        service.extend()
        with opened.postgres.connect(name) as connection:
            bulk.load_extension(connection, NAMESPACE, service.sessions)


def _comparable(
    services: Mapping[str, Service], wanted: Iterable[str]
) -> tuple[list[str], dict[str, str]]:
    """Returns the operations that work in both versions, and the reasons why others fail in COMMIT.

    Raises:
        WrongResponseError: An operation fails in the working tree.
    """
    not_compared = {}
    for operation in wanted:
        services[NOW].check(operation)
        try:
            services[BEFORE].check(operation)
        except WrongResponseError as error:
            not_compared[operation] = str(error)
    return [operation for operation in wanted if operation not in not_compared], not_compared


def _restart(
    opened: Lab, services: Mapping[str, Service], operations: Sequence[str], load: Load
) -> None:
    """Restarts both versions and loads them once to warm up connections, prepared statements and caches."""
    for name, service in services.items():
        service.restart()
        for operation in operations:
            service.measure(operation, load)
        with opened.postgres.connect(name) as connection:
            connection.execute("VACUUM ANALYZE")


def _round(
    opened: Lab, services: Mapping[str, Service], operation: str, order: Sequence[str], load: Load
) -> dict[str, list[dict[str, float]]]:
    """Measures one operation. Returns the figures by version, in the order of measurement."""
    figures: dict[str, list[dict[str, float]]] = {BEFORE: [], NOW: []}
    for name in order:
        figures[name].append(_figures(opened.sample(services[name], operation, load)))
    return figures


def _figures(sample: Sample) -> dict[str, float]:
    return {
        "operations_per_second": sample.operations_per_second,
        "cpu_service_us": sample.cpu_stack,
        "cpu_database_us": sample.cpu_database,
        **asdict(sample.measurement),
    }


def _worker(service: Service) -> int:
    """Returns the resident bytes of the largest worker."""
    return max(memory for program in service.programs for memory in program.workers())
