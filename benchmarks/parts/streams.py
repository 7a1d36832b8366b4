"""Event streams: what those cost whose account is quiet, and how soon a client is told of a change."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import Any

from benchmarks.lab import Lab
from benchmarks.load import Client, Load, Request
from benchmarks.operations import compact
from benchmarks.parts.comparison import sample_figures
from benchmarks.stacks.service import ACCOUNT, NAMESPACE, Instance, Service

IDLE = 1_000
"""Open streams while reads are measured."""

_CONNECTIONS = 16
_EVENTS_PER_SECOND = 1_000
_EVENTS_PER_SAVE = 10
_QUIET = "quiet"
_SETTLE_SECONDS = 2


def run(lab: Lab) -> dict[str, Any]:
    """Measures reads with and without idle streams, saves with and without a log, and how soon a client is told."""
    # The kernel divides connections among workers at random, so each has room for more than its share.
    variables = {"CCS_STREAM_LIMIT": str(IDLE)}
    instance = lab.instance("streams", variables=variables)
    service = Service(instance, lab.scale.sessions)
    service.check("read_all", "patch_1")
    headers = instance.new_headers("--scope", "admin")
    client = Client(instance.port)
    for namespace in (NAMESPACE, _QUIET):
        _set_log(client, headers, namespace, "names")
    load = Load(_CONNECTIONS, lab.scale.seconds)
    memory = [0, 0]
    reads, saves = [], []
    for round_ in range(lab.scale.rounds):
        lab.postgres.checkpoint()
        figures = {"without": sample_figures(lab.sample(service, "read_all", load))}
        memory[0] = sum(instance.program.workers())
        with _streams(instance, IDLE):
            time.sleep(_SETTLE_SECONDS)
            figures["with"] = sample_figures(lab.sample(service, "read_all", load))
            memory[1] = sum(instance.program.workers())
        reads.append(figures)
        figures = {}
        for log in ("off", "values")[:: 1 if round_ % 2 else -1]:
            _set_log(client, headers, NAMESPACE, log)
            figures[log] = sample_figures(lab.sample(service, "patch_1", load))
        saves.append(figures)
        print(f"  round {round_ + 1} of {lab.scale.rounds}", flush=True)
    _set_log(client, headers, "told", "values")
    client.close()
    seconds = lab.scale.seconds * lab.scale.rounds
    lags = _lags(instance, seconds)
    percentiles = quantiles(lags, n=100, method="inclusive")
    return {
        "idle": IDLE,
        "reads": reads,
        "memory_bytes": {"without": memory[0], "with": memory[1]},
        "saves": saves,
        "lag": {
            "events": len(lags),
            "per_second": len(lags) / seconds,
            "p50_ms": percentiles[49],
            "p99_ms": percentiles[98],
            "longest_ms": max(lags),
        },
    }


def _set_log(client: Client, headers: Mapping[str, str], namespace: str, log: str) -> None:
    path = f"/ext/v1/{ACCOUNT}/namespaces/{namespace}"
    client.send(Request("PATCH", path, compact({"changes": log}), headers=headers))


@contextmanager
def _streams(instance: Instance, count: int) -> Iterator[None]:
    """Keeps streams of the quiet namespace open for the length of the block."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_opened(instance, _QUIET))
        yield


@contextmanager
def _opened(instance: Instance, namespace: str) -> Iterator[socket.socket]:
    """A stream that has told its first position."""
    request = Request(
        "GET", f"/ext/v1/{ACCOUNT}/changes?ns={namespace}",
        headers={**instance.headers, "Accept": "text/event-stream"},
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", instance.port), timeout=30) as connection:
        connection.sendall(request.text(f"127.0.0.1:{instance.port}").encode())
        received = b""
        while b"event: position" not in received:
            part = connection.recv(65_536)
            assert part, received
            received += part
        assert received.startswith(b"HTTP/1.1 200"), received
        yield connection


def _lags(instance: Instance, seconds: float) -> list[float]:
    """How long it takes from the moment at which a save is sent until a client has its event, in ms, for each event."""
    lags: list[float] = []
    count = round(seconds * _EVENTS_PER_SECOND)

    def read(connection: socket.socket) -> None:
        received = b""
        while len(lags) < count:
            part = connection.recv(1 << 20)
            now = time.perf_counter()
            assert part, "the stream has ended"
            *lines, received = (received + part).split(b"\n")
            for line in lines:
                if line.startswith(b'data: {"id"'):
                    sent = json.loads(line.removeprefix(b"data: "))["value"]
                    lags.append((now - sent) * 1000)

    with _opened(instance, "told") as connection:
        reader = threading.Thread(target=read, args=[connection])
        reader.start()
        client = Client(instance.port)
        began = time.perf_counter()
        for number in range(count // _EVENTS_PER_SAVE):
            # Evenly, and not as fast as it can.
            time.sleep(
                max(0, began + number * _EVENTS_PER_SAVE / _EVENTS_PER_SECOND - time.perf_counter())
            )
            now = time.perf_counter()
            body = compact({f"p{each}": now for each in range(_EVENTS_PER_SAVE)})
            path = f"/v1/account/{ACCOUNT}/told/{number % 100}/properties"
            client.send(Request("PATCH", path, body, 204, instance.headers))
        client.close()
        reader.join()
    return lags
