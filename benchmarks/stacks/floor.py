"""The floor: `floor_app` on the same HTTP server and database as the service."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import make_conninfo

from benchmarks.load import Client
from benchmarks.processes import free_port, listening, start, wait_until
from benchmarks.stacks.base import HttpStack
from benchmarks.stacks.service import Service
from ccs_server.settings import Settings
from ccs_server.store.database import Database

WORKERS = os.cpu_count() or 1
THREADS = 2
ROOT = Path(__file__).parents[2]


class Floor(HttpStack):
    """The minimum cost of Python, this HTTP server and these SQL statements."""

    name = "floor"
    title = "bare WSGI callable, raw prepared statements, granian"

    def __init__(self, service: Service, directory: Path, database_url: str) -> None:
        super().__init__(service.sessions)
        self._service = service
        self.port = free_port()
        self.operations = {
            name: operation
            for name, operation in service.operations.items()
            if not name.startswith("v2")
        }
        options = connection_options(database_url)
        command = [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws",
            "--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--port", str(self.port),
            "--log-level", "warning", "benchmarks.stacks.floor_app:application",
        ]  # fmt: skip
        environment = {
            "PYTHONPATH": str(ROOT),
            "FLOOR_DATABASE": make_conninfo(database_url, options=options),
        }
        program = start(self.name, command, directory, environment)
        self.programs = (program,)
        wait_until(listening(self.port), program)

    def document(self, client: Client, session: int) -> Mapping[str, object]:
        return self._service.document(client, session)


def connection_options(database_url: str) -> str:
    """Returns the connection options that the service uses, so that query plans are the same."""
    database = Database(database_url, Settings())
    with database.engine.connect() as connection:
        options: str = connection.connection.dbapi_connection.info.options  # type: ignore[union-attr]
    database.engine.dispose()
    return options
