"""What an operator sees of each request: its id, a line in the log, a count and a duration in the metrics."""

import os
import re
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from secrets import token_hex
from select import PIPE_BUF
from sys import stderr
from threading import Lock, Thread, main_thread
from time import perf_counter, sleep
from typing import NamedTuple, cast
from weakref import ref
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Flask, Request, Response, current_app
from msgspec.json import encode
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from ccs_server.api.services import services

REQUEST_ID = "X-Request-ID"
_KNOWN = "ccs.request_id"
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

_NAME = "ccs.observer"

_AT_ONCE = 64
"""Requests whose metrics and log lines are written together: half a millisecond's work."""

_LATEST_SECONDS = 0.1

blueprint = Blueprint("metrics", __name__)


class _Seen(NamedTuple):
    """What is told of a request; its duration is in seconds."""

    request_id: str
    method: str
    path: str
    rule: str
    status: int
    ended: datetime
    duration: float


class Observer:
    """Observes every answer. The log names paths, never queries, headers or bodies: secrets and values are in those.

    Metrics and log are written for some requests at a time, at the latest when `_LATEST_SECONDS` have passed: one by
    one, they would cost a request as much as the database does.
    """

    def __init__(self, *, access_log: bool) -> None:
        self._log = stderr.fileno() if access_log else None
        # A metric's labels() costs as much as its observe().
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self._seen: deque[_Seen] = deque()
        self._writing = Lock()
        self._clerk: Thread | None = None

    def attach_to(self, app: Flask) -> None:
        """Makes this the observer of `app`."""
        app.extensions[_NAME] = self

    def observe(self, request: Request, response: Response) -> None:
        """Sees to it that the answer is counted, timed and logged."""
        environ = request.environ
        rule = request.url_rule
        self._seen.append(
            _Seen(
                request_id_of(environ),
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                rule.rule if rule else "",
                response.status_code,
                datetime.now(UTC),
                perf_counter() - environ["ccs.started"],
            )
        )
        if len(self._seen) >= _AT_ONCE:
            self.write()
        if self._clerk is None:
            self._employ_clerk()

    def _employ_clerk(self) -> None:
        # Not before the first request: there may have been a fork since the app was made.
        with self._writing:
            if self._clerk is None:
                self._clerk = Thread(target=_keep_writing, args=(ref(self),), name="observer")
                self._clerk.start()

    def write(self) -> None:
        """Counts, times and logs what was seen."""
        with self._writing:
            lines = b""
            for _ in range(len(self._seen)):
                seen = self._seen.popleft()
                self._duration_of(seen.method, seen.rule, seen.status).observe(seen.duration)
                if self._log is None or seen.path in _PROBES:
                    continue
                line = _line(seen)
                if len(lines) + len(line) > PIPE_BUF:
                    self._write(lines)
                    lines = b""
                lines += line
            self._write(lines)

    def _write(self, lines: bytes) -> None:
        if lines and self._log is not None:
            # A log that cannot be written is no reason to fail requests that have succeeded.
            with suppress(OSError):
                os.write(self._log, lines)

    def _duration_of(self, method: str, path: str, status: int) -> Histogram:
        labels = method, path, status
        known = self._known.get(labels)
        if known is None:
            known = self._known[labels] = _durations.labels(method, path, str(status))
        return known


def _line(seen: _Seen) -> bytes:
    line = {
        "time": seen.ended,
        "request_id": seen.request_id,
        "method": seen.method,
        "path": seen.path,
        "status": seen.status,
        "ms": round(seen.duration * 1000, 2),
    }
    return encode(line) + b"\n"


def _keep_writing(observer: ref[Observer]) -> None:
    """Writes until there is no observer, or the process ends: it waits for this thread, which then writes the rest."""
    is_last = False
    while not is_last:
        is_last = not main_thread().is_alive()
        known = observer()
        if known is None:
            return
        known.write()
        del known
        if not is_last:
            sleep(_LATEST_SECONDS)


def request_id_of(environ: WSGIEnvironment) -> str:
    """The request's id: the client's own if it sent a printable one, else one that is made the first time."""
    known: str | None = environ.get(_KNOWN)
    if known is None:
        known = environ.get("HTTP_X_REQUEST_ID", "")
        if not _is_request_id(known):
            known = f"{_instance}-{os.getpid():x}-{next(_numbers):x}"
        environ[_KNOWN] = known
    return known


@blueprint.get("/metrics")
def metrics() -> Response:
    """The metrics of all workers of this instance, for Prometheus; other workers' may be a tenth of a second old."""
    cast("Observer", current_app.extensions[_NAME]).write()
    registry = REGISTRY
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text = generate_latest(registry) + services().quota_metrics.text()
    return Response(text, content_type=CONTENT_TYPE_LATEST)
