"""What it costs to observe the service.

One service traces every request, and one every twentieth; both log them, and their metrics are scraped. One traces
none, and one does not even log or count.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.lab import Lab
from benchmarks.load import Load
from benchmarks.parts.comparison import sample_figures
from benchmarks.processes import free_port, listening, start, wait_until
from benchmarks.stacks.floor import ROOT
from benchmarks.stacks.service import Service

_CONNECTIONS = 16
_OPERATIONS = ("read_all", "patch_1")
_SCRAPE_SECONDS = 15.0
"""As often as Prometheus usually does; its default is a minute."""
_UNOBSERVED = (sys.executable, "-m", "benchmarks.stacks.unobserved")
_TRACED = {
    "all": ("every request traced", {"OTEL_TRACES_SAMPLER": "always_on"}),
    "twentieth": (
        "every twentieth request traced",
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.05"},
    ),
}


def run(lab: Lab) -> dict[str, Any]:
    """Measures reads and saves on all services in every round, in an order that changes from round to round."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stacks.collector", str(port)]
    collector = start("collector", command, lab.directory, {"PYTHONPATH": str(ROOT)})
    wait_until(listening(port), collector)
    quiet = {"PYTHONPATH": str(ROOT), "CCS_ACCESS_LOG": "off", "CCS_OPERATIONS_PORT": "off"}
    unobserved = lab.instance("unobserved", variables=quiet, command=_UNOBSERVED)
    services = {
        "unobserved": Service(unobserved, lab.scale.sessions),
        "none": Service(lab.instance("untraced"), lab.scale.sessions),
    }
    operations: dict[str, int] = {}
    for name, (_, sampler) in _TRACED.items():
        operations[name] = free_port()
        variables = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "CCS_OPERATIONS_PORT": str(operations[name]),
            **sampler,
        }
        instance = lab.instance(f"traced_{name}", variables=variables)
        services[name] = Service(instance, lab.scale.sessions)
    for service in services.values():
        service.check(*_OPERATIONS)
    rounds: dict[str, list[dict[str, Any]]] = {operation: [] for operation in _OPERATIONS}
    load = Load(_CONNECTIONS, lab.scale.seconds)
    with _scraped(operations.values()):
        # The first round warms up caches; it is not counted.
        for round_ in range(lab.scale.rounds + 1):
            lab.postgres.checkpoint()
            for operation in _OPERATIONS:
                first = round_ % len(services)
                figures = {
                    name: sample_figures(lab.sample(services[name], operation, load))
                    for name in (*list(services)[first:], *list(services)[:first])
                }
                if round_:
                    rounds[operation].append(figures)
            print(f"  round {round_} of {lab.scale.rounds}", flush=True)
    return {
        "titles": {name: title for name, (title, _) in _TRACED.items()},
        "connections": _CONNECTIONS,
        "spans": {name: _spans(operations[name]) for name in _TRACED},
        "rounds": rounds,
    }


@contextmanager
def _scraped(ports: Iterable[int]) -> Iterator[None]:
    """Reads the metrics of services again and again for the length of the block."""
    end = Event()

    def scrape() -> None:
        while not end.wait(_SCRAPE_SECONDS):
            for port in ports:
                _metrics(port)

    scraper = Thread(target=scrape)
    scraper.start()
    try:
        yield
    finally:
        end.set()
        scraper.join()


def _metrics(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text


def _spans(port: int) -> dict[str, float]:
    """The spans of a service by what became of them."""
    page = _metrics(port)
    return {
        sample.labels["outcome"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "ccs_trace_spans_total"
    }
