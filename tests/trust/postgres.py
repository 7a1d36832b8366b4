"""A PostgreSQL cluster in which a test can cause failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Self

import psycopg

from ccs_server.embedded import privileges
from tests.support.ports import free_port
from tests.trust.processes import signal_tree


class Cluster:
    """A cluster with its own directory and its own port on the loopback."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.data = directory / "data"
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of its database `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def create(self, **settings: str) -> Self:
        """Creates an empty cluster."""
        self._own()
        self._run(
            "initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=trust", "--no-sync",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )  # fmt: skip
        return self

    def copy(self, primary: "Cluster", name: str) -> Self:
        """Creates a standby of `primary` with the application name `name`."""
        self._own()
        self._run(
            "pg_basebackup", "--checkpoint=fast", "--write-recovery-conf", "--no-sync",
            "--dbname", f"{primary.url}?application_name={name}",
        )  # fmt: skip
        return self

    def start(self, **settings: str) -> None:
        """Starts the server with `settings`, which override those of its creation, and waits until it responds."""
        given = {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""
        } | settings  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        self._run("pg_ctl", "start", "--wait", "--silent", "--options", options)

    def stop(self) -> None:
        """Stops the server properly, which notifies clients."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=fast")

    def kill(self) -> None:
        """Kills all processes of the server at once."""
        signal_tree(self._postmaster, SIGKILL)

    def pause(self) -> None:
        """Suspends all processes of the server: connections stay open, but there are no responses."""
        signal_tree(self._postmaster, SIGSTOP)

    def resume(self) -> None:
        """Resumes a paused server."""
        signal_tree(self._postmaster, SIGCONT)

    def promote(self) -> None:
        """Promotes a standby to primary, and waits until it is done."""
        self._run("pg_ctl", "promote", "--wait", "--silent")

    def execute(self, *statements: str) -> None:
        """Runs statements, each in its own transaction."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def query(self, sql: str) -> object:
        """Returns the first column of the first row of a query."""
        with self.connect() as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row
        return row[0]

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Returns a superuser's connection in autocommit mode."""
        return psycopg.connect(self.url, autocommit=True, application_name="test")

    @contextmanager
    def removed_afterwards(self) -> Iterator[Self]:
        """Kills the server at the end of the block if it still runs."""
        try:
            yield self
        finally:
            if (self.data / "postmaster.pid").exists():
                self.kill()

    @property
    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _own(self) -> None:
        self._directory.mkdir()
        privileges.make_directory(self.data, privileges.owner_of_new_cluster(self._directory))

    def _run(self, program: str, *arguments: str) -> None:
        """Runs a program of PostgreSQL, as the service does."""
        log = self._directory / "log"
        with log.open("ab", buffering=0) as output:
            done = privileges.run(program, *arguments, cluster=self.data, output=output)
        assert done.returncode == 0, log.read_text()
