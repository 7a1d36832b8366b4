"""The operations listener: health and metrics for operators, at an address of their own.

A thread of the supervising process serves it, so it responds while the workers are busy, full or dead. Nothing here
asks for a credential, and it is bound to the loopback by default.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Generic, Protocol, TypeVar
from wsgiref.types import WSGIApplication

from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from waitress import create_server, wasyncore
from werkzeug.exceptions import HTTPException

from ccs_server.domain.errors import ENDING, Unavailable
from ccs_server.http.errors import register_error_handlers, respond_to_http_exception
from ccs_server.http.headers import data_headers
from ccs_server.http.responses import json_response
from ccs_server.store import schema
from ccs_server.store.database import Database

T = TypeVar("T")

_THREADS = 8

# Waitress counts its listener and its own wake-up pipe, too.
_CONNECTIONS = 50

_IDLE_SECONDS = 10

_MAX_HEADER_BYTES = 8192
_MAX_BODY_BYTES = 1024

_PATIENCE_SECONDS = 1.0


class Supervised(Protocol):
    """The workers of an instance."""

    @property
    def is_ending(self) -> bool:
        """Whether the service was told to end."""

    def count_alive(self) -> int:
        """How many workers are alive."""


class Shared(Generic[T]):
    """A result that callers share who ask for it at the same time.

    The first computes it. The others wait for it, a second at most, so that they do not take up every thread where it
    takes long.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        self._lock = Lock()
        self._running: Future[T] | None = None

    def get(self) -> T:
        """The result, or the exception that computing it has raised.

        Raises:
            TimeoutError: another caller is still computing it.
        """
        with self._lock:
            future = self._running
            if future is not None:
                is_first = False
            else:
                is_first = True
                future = self._running = Future()
        if not is_first:
            return future.result(_PATIENCE_SECONDS)
        try:
            future.set_result(self._compute())
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller gets it
            future.set_exception(error)
        finally:
            with self._lock:
                self._running = None
        return future.result()


class _InstanceMetrics(Collector):
    """What the supervising process knows of its instance."""

    def __init__(self, workers: Supervised, version: str) -> None:
        self._workers = workers
        self._version = version

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics."""
        yield GaugeMetricFamily(
            "ccs_workers", "Workers that are alive.", self._workers.count_alive()
        )
        info = GaugeMetricFamily("ccs_build_info", "1; the release is a label.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info


def _forget_dead_workers() -> None:
    """Removes the gauges of workers that have died: their sum is of those that live."""
    for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)


class _WorkersMetrics(MultiProcessCollector):
    """What the processes of this instance have written to their files."""

    def collect(self) -> Iterable[Metric]:
        """The metrics. A file that a process has just made is empty, which the base's cannot read."""
        files = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")
        written = [str(file) for file in files if file.stat().st_size]
        found: Iterable[Metric] = self.merge(written)  # type: ignore[no-untyped-call]
        return found


def _metrics_page(collectors: Iterable[Collector]) -> Shared[bytes]:
    registry = CollectorRegistry()
    _WorkersMetrics(registry)  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)

    def collect() -> bytes:
        _forget_dead_workers()
        return generate_latest(registry)

    return Shared(collect)


def create_operations_app(
    workers: Supervised, database: Database, collectors: Iterable[Collector] = ()
) -> Flask:
    """The application of the operations listener.

    Args:
        workers: those of this instance.
        database: the supervising process's.
        collectors: metrics beside those of the workers, collected at each scrape.
    """
    page = _metrics_page([_InstanceMetrics(workers, version("ccs-server")), *collectors])
    check = Shared(lambda: schema.check(database))

    app = Flask("ccs_operations", static_folder=None)
    register_error_handlers(app)
    app.register_error_handler(HTTPException, respond_to_http_exception)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.extend(data_headers(request.environ))
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        """Workers are alive. Nothing else is asked, so an outage of the database restarts no service."""
        alive = workers.count_alive()
        if not alive:
            raise Unavailable("No worker is alive; look at the log.")
        return json_response(b'{"status":"ok","workers":%d}' % alive)

    @app.get("/readyz")
    def readyz() -> Response:
        """As on the public listener: the database can be used and its schema is current."""
        if workers.is_ending:
            raise Unavailable(ENDING)
        try:
            check.get()
        except TimeoutError:
            raise Unavailable("The database has not answered for a second.") from None
        return json_response(b'{"status":"ok"}')

    @app.get("/metrics")
    def metrics() -> Response:
        """The metrics of all processes of this instance, for Prometheus."""
        try:
            return Response(page.get(), content_type=CONTENT_TYPE_LATEST)
        except TimeoutError:
            raise Unavailable("The metrics are still being collected.") from None

    return app


@contextmanager
def serving(app: WSGIApplication, listener: socket.socket) -> Iterator[None]:
    """Serves `app` on `listener` for the length of the block, by a few threads and for a few clients at a time."""
    # What waitress has open, by its file descriptor.
    opened: dict[int, Any] = {}
    server = create_server(
        app,
        map=opened,
        sockets=[listener],
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=1,
        max_request_header_size=_MAX_HEADER_BYTES,
        max_request_body_size=_MAX_BODY_BYTES,
        asyncore_use_poll=True,
        ident=None,
    )
    # A worker is forked from this process and must not hold these open: a client would wait for an end that does not
    # come, and a supervisor's successor for the port.
    os.register_at_fork(after_in_child=lambda: wasyncore.close_all(opened, ignore_all=True))
    thread = Thread(target=server.run, name="operations", daemon=True)
    thread.start()
    try:
        yield
    finally:
        # In its own thread, which ends when there is nothing left to look at.
        server.trigger.pull_trigger(lambda: wasyncore.close_all(opened, ignore_all=True))
        thread.join()
