"""`ccs serve`: the service as a process."""

import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from logging.config import dictConfig
from types import FrameType
from typing import NoReturn

import click

from ccs_server.cli.common import Store, as_json_option, opened_store
from ccs_server.serving.counting import Counting
from ccs_server.serving.first_process import leave_reaping_to_parent
from ccs_server.serving.greeting import Greeter, Greeting
from ccs_server.serving.listener import ListenError, address_of, listen
from ccs_server.serving.logs import logging_of
from ccs_server.serving.upkeep import Upkeep
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.credentials import ApiKey, create_first_key
from ccs_server.store.signing_keys import check_signing_keys

FIRST_ACCOUNT = "demo"


@click.command()
@click.option("--host", help="The address to listen on, instead of CCS_HOST (127.0.0.1).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Instead of CCS_PORT (8000); 0 takes any."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="usable cores",
    help="How many processes serve.",
)
@click.option("--migrate", is_flag=True, help="Migrate an external database that is behind.")
@as_json_option
def serve(
    host: str | None, port: int | None, workers: int, *, migrate: bool, as_json: bool
) -> None:
    """Run the service until SIGTERM or Ctrl-C.

    Without CCS_DATABASE_URL it brings its own PostgreSQL, with its data under CCS_DATA_DIR.
    """
    leave_reaping_to_parent()
    # Until the workers run, a signal ends the start where it is, and what has been started is stopped on the way out.
    signal.signal(signal.SIGTERM, _end)
    settings = Settings.from_environment()
    dictConfig(logging_of(settings.log_level))
    try:
        listeners = listen(host or settings.host, settings.port if port is None else port, workers)
    except ListenError as error:
        raise click.ClickException(str(error)) from error
    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        opened = stack.enter_context(opened_store())
        greeting = Greeting(*address_of(listeners[0]), _prepare(opened, migrate=migrate))
        text = greeting.as_json() if as_json else greeting.as_text()
        _run(opened, listeners, workers, Greeter(greeting, partial(click.echo, text)))


def _prepare(opened: Store, *, migrate: bool) -> ApiKey | None:
    """Makes sure that the schema is current and signing keys can be used.

    On an empty store of our own, makes an account and returns its key.
    """
    if not opened.embedded:
        if migrate:
            schema.migrate(opened.url)
        schema.check(opened.database)
    check_signing_keys(opened.database, opened.settings.token_lifetime)
    return create_first_key(opened.database, FIRST_ACCOUNT) if opened.embedded else None


def _run(opened: Store, listeners: Sequence[socket.socket], count: int, greeter: Greeter) -> None:
    # Workers are forked: they share the memory of what is loaded here, and no connection.
    opened.database.release()
    multiprocessing.set_start_method("fork")
    with tempfile.TemporaryDirectory(prefix="ccs-metrics-") as metrics:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        # The metrics look for their directory when they are imported.
        from ccs_server.app import create_service  # noqa: PLC0415
        from ccs_server.serving.workers import Workers  # noqa: PLC0415

        workers = Workers(
            partial(create_service, opened.settings), listeners, opened.settings, count=count
        )
        with (
            Upkeep(opened.database, opened.settings, opened.embedded),
            Counting(opened.database, opened.settings.quota_interval),
            greeter,
        ):
            workers.run()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
