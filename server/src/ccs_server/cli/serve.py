"""`ccs serve`: runs the service."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from logging.config import dictConfig
from types import FrameType
from typing import NoReturn

import click

from ccs_server.cli.common import Store, as_json_option, opened_store
from ccs_server.http.log import logging_of
from ccs_server.http.tracing import sampler_of
from ccs_server.serving.counting import Counting
from ccs_server.serving.ending import Ending
from ccs_server.serving.first_process import leave_reaping_to_parent
from ccs_server.serving.greeting import Greeter, Greeting, url_of
from ccs_server.serving.listener import (
    ListenError,
    Options,
    PortInUseError,
    address_of,
    listen,
)
from ccs_server.serving.metrics_directory import metrics_directory
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.credentials import ApiKey, create_first_key
from ccs_server.store.signing_keys import check_signing_keys

FIRST_ACCOUNT = "demo"

OPERATIONS_PORT = 9464
"""The default port of the operations listener; it is OpenTelemetry's port for Prometheus."""


def _usable_cores() -> int:
    # Only Linux restricts a process to some of them.
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@click.command()
@click.option("--host", help="The address to listen on; overrides CCS_HOST (127.0.0.1).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Overrides CCS_PORT (8000); 0 selects a free port.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=_usable_cores,
    show_default="usable cores",
    help="The number of worker processes.",
)
@click.option("--migrate", is_flag=True, help="Migrate an external database if necessary.")
@as_json_option
def serve(
    host: str | None, port: int | None, workers: int, *, migrate: bool, as_json: bool
) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    Without CCS_DATABASE_URL, it runs an embedded PostgreSQL, with its data in CCS_DATA_DIR.
    """
    leave_reaping_to_parent()
    # Until the workers run, a signal raises SystemExit, which unwinds the stack and stops everything that was started.
    signal.signal(signal.SIGTERM, _end)
    settings = Settings.from_environment()
    # An error is said before the database is started.
    sampler_of(os.environ)
    dictConfig(logging_of(settings.log_level))
    with ExitStack() as stack:
        address = host or settings.host, settings.port if port is None else port
        try:
            listeners = [stack.enter_context(each) for each in listen(*address, workers)]
            operations = [stack.enter_context(each) for each in _listen_for_operations(settings)]
        except ListenError as error:
            raise click.ClickException(str(error)) from error
        # The Prometheus client reads it when it is imported.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(stack.enter_context(metrics_directory()))
        with _importing("ccs_server.app"):
            opened = stack.enter_context(opened_store())
        greeting = Greeting(
            *address_of(listeners[0]),
            url_of(*address_of(operations[0])) if operations else None,
            _prepare(opened, migrate=migrate),
            has_console=settings.console,
        )
        text = greeting.as_json() if as_json else greeting.as_text()
        greeter = Greeter(greeting, partial(click.echo, text))
        _run(opened, listeners, operations, workers, greeter)


@contextmanager
def _importing(module: str) -> Iterator[None]:
    """Imports a module while the block waits for something else. The thread ends with the block."""
    with ThreadPoolExecutor(1) as thread:
        imported = thread.submit(import_module, module)
        yield
        imported.result()


def _listen_for_operations(settings: Settings) -> list[socket.socket]:
    """Opens the operations listener, unless it is switched off."""
    host, port = settings.operations_host, settings.operations_port
    if port == "off":
        return []
    listen_at = partial(listen, host, options=Options("CCS_OPERATIONS_HOST", "CCS_OPERATIONS_PORT"))
    if port is not None:
        return listen_at(port)
    try:
        return listen_at(OPERATIONS_PORT)
    except PortInUseError:
        # Another instance may use the port. A default port that is in use must not prevent the start.
        return listen_at(0)


def _prepare(opened: Store, *, migrate: bool) -> ApiKey | None:
    """Ensures that the schema is current and that the signing keys can be used.

    If the store is embedded and has no keys yet, creates an account and returns its key.
    """
    if not opened.embedded:
        if migrate:
            schema.migrate(opened.url)
        schema.check(opened.database)
    check_signing_keys(opened.database, opened.settings.token_lifetime)
    return create_first_key(opened.database, FIRST_ACCOUNT) if opened.embedded else None


def _run(
    opened: Store,
    listeners: Sequence[socket.socket],
    operations: Sequence[socket.socket],
    count: int,
    greeter: Greeter,
) -> None:
    # Workers are forked. They share the application that is made here, but must not share connections.
    opened.database.release()
    multiprocessing.set_start_method("fork")
    with ExitStack() as stack:
        # Imported here because the Prometheus client reads PROMETHEUS_MULTIPROC_DIR at import.
        from ccs_server.api.quota_metrics import QuotaMetrics  # noqa: PLC0415
        from ccs_server.app import create_service  # noqa: PLC0415
        from ccs_server.serving.deliveries import Deliveries  # noqa: PLC0415
        from ccs_server.serving.jobs import Jobs  # noqa: PLC0415
        from ccs_server.serving.operations import create_operations_app, serving  # noqa: PLC0415
        from ccs_server.serving.sequencer import Sequencer  # noqa: PLC0415
        from ccs_server.serving.upkeep import Upkeep  # noqa: PLC0415
        from ccs_server.serving.workers import Workers  # noqa: PLC0415

        settings = opened.settings
        ending = Ending(settings.drain_time + settings.shutdown_timeout)
        if embedded := opened.embedded:
            stack.callback(lambda: embedded.stop_within(ending.remaining()))
        workers = Workers(create_service(settings), listeners, settings, ending, count=count)
        quotas = QuotaMetrics(opened.database, settings.credential_cache)
        for listener in operations:
            app = create_operations_app(workers, opened.database, [quotas])
            stack.enter_context(serving(app, listener))
        with (
            Upkeep(opened.database, ending, settings, opened.embedded),
            Counting(opened.database, ending, settings.quota_interval),
            Sequencer(opened.database, ending),
            Deliveries(opened.database, ending),
            Jobs(opened.database, ending),
            greeter,
        ):
            workers.run()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
