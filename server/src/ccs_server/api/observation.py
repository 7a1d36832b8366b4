"""What an operator sees of each request: its id, a line in the log, a count and a duration in the metrics."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from secrets import token_hex
from sys import stderr
from time import perf_counter
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Request, Response
from msgspec.json import encode
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

REQUEST_ID = "X-Request-ID"
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the directory where the workers of one instance keep their metrics together."""

# Workers are forked from a process that has drawn this already, so their ids differ by the process.
_instance = token_hex(6)
_numbers = count(1)
# What asks these asks all the time, and is of interest to nobody.
_PROBES = {"/healthz", "/readyz", "/metrics"}

_is_request_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch

_durations = Histogram(
    "ccs_request_duration_seconds",
    "Time from a request's arrival at the application to its answer.",
    ["method", "path", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

blueprint = Blueprint("metrics", __name__)


class Observer:
    """Observes every answer. The log names paths, never queries, headers or bodies: secrets and values are in those."""

    def __init__(self, *, access_log: bool) -> None:
        self._log = stderr.fileno() if access_log else None
        # A metric's labels() costs as much as its observe().
        self._known: dict[tuple[str, str, int], Histogram] = {}

    def observe(self, request: Request, response: Response) -> None:
        """Gives the answer its request id; counts, times and logs it."""
        environ = request.environ
        duration = perf_counter() - environ["ccs.started"]
        request_id = request_id_of(environ)
        response.headers[REQUEST_ID] = request_id
        rule = request.url_rule
        self._duration_of(
            environ["REQUEST_METHOD"], rule.rule if rule else "", response.status_code
        ).observe(duration)
        if self._log is not None and environ["PATH_INFO"] not in _PROBES:
            line = {
                "time": datetime.now(UTC),
                "request_id": request_id,
                "method": environ["REQUEST_METHOD"],
                "path": environ["PATH_INFO"],
                "status": response.status_code,
                "ms": round(duration * 1000, 2),
            }
            # A log that cannot be written is no reason to fail a request that has succeeded.
            with suppress(OSError):
                os.write(self._log, encode(line) + b"\n")

    def _duration_of(self, method: str, path: str, status: int) -> Histogram:
        labels = method, path, status
        known = self._known.get(labels)
        if known is None:
            known = self._known[labels] = _durations.labels(method, path, str(status))
        return known


def request_id_of(environ: WSGIEnvironment) -> str:
    """The client's own id of the request if it sent a printable one, else a new one."""
    given = environ.get("HTTP_X_REQUEST_ID")
    if given and _is_request_id(given):
        return str(given)
    return f"{_instance}-{os.getpid():x}-{next(_numbers):x}"


@blueprint.get("/metrics")
def metrics() -> Response:
    """The metrics of all workers of this instance, for Prometheus."""
    registry = REGISTRY
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
