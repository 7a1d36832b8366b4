"""A PostgreSQL cluster that a test owns, to do to it whatever befalls databases."""

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
    """A cluster in a directory of its own, reached at a port of its own on loopback."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.data = directory / "data"
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def create(self, **settings: str) -> Self:
        """Makes an empty cluster."""
        self._own()
        self._run(
            "initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=trust",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )  # fmt: skip
        return self

    def copy(self, primary: "Cluster", name: str) -> Self:
        """Makes a standby of `primary`, known to it as `name`."""
        self._own()
        self._run(
            "pg_basebackup", "--checkpoint=fast", "--write-recovery-conf",
            "--dbname", f"{primary.url}?application_name={name}",
        )  # fmt: skip
        return self

    def start(self, **settings: str) -> None:
        """Starts it, with `settings` instead of those that it was made with, and waits until it answers."""
        given = {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""
        } | settings  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in given.items())
        self._run("pg_ctl", "start", "--wait", "--silent", "--options", options)

    def stop(self) -> None:
        """Stops it in good order: clients are told."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=fast")

    def kill(self) -> None:
        """Kills all its processes at once."""
        signal_tree(self._postmaster, SIGKILL)

    def pause(self) -> None:
        """Freezes all its processes: connections stay open, and nobody answers."""
        signal_tree(self._postmaster, SIGSTOP)

    def resume(self) -> None:
        """Ends a pause."""
        signal_tree(self._postmaster, SIGCONT)

    def promote(self) -> None:
        """Makes a standby the primary, and waits until it is."""
        self._run("pg_ctl", "promote", "--wait", "--silent")

    def execute(self, *statements: str) -> None:
        """Runs statements, each in a transaction of its own."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, query: str) -> object:
        """The first column of the first row that the query gives."""
        with self.connect() as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of a superuser's, each statement of which is a transaction of its own."""
        return psycopg.connect(self.url, autocommit=True, application_name="test")

    @contextmanager
    def removed_afterwards(self) -> Iterator[Self]:
        """Kills what still runs at the end of the block."""
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
        """Runs one of PostgreSQL's programs, as the service does."""
        log = self._directory / "log"
        with log.open("ab", buffering=0) as output:
            done = privileges.run(program, *arguments, cluster=self.data, output=output)
        assert done.returncode == 0, log.read_text()
