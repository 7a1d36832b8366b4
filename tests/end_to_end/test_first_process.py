"""`ccs serve` as process 1 of a PID namespace, as in a container without an init: it reaps zombies and stops."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil
import requests

from tests.support import namespaces
from tests.support.service import CCS, TIMEOUT_SECONDS, environment
from tests.support.users import as_ordinary_user
from tests.support.waiting import wait_until

SHUTDOWN_TIMEOUT = 5
MARGIN_SECONDS = 3.0
"""A margin for a busy machine, in seconds."""


@dataclass(frozen=True)
class Container:
    """A service that runs as process 1."""

    url: str
    unshare: subprocess.Popen[str]

    @property
    def first(self) -> psutil.Process:
        """Process 1."""
        return psutil.Process(self.unshare.pid).children()[0]

    @property
    def postmaster(self) -> psutil.Process | None:
        """The postmaster of PostgreSQL."""
        children = self.first.children()
        return next((each for each in children if each.name() == "postgres"), None)

    @property
    def zombies(self) -> list[psutil.Process]:
        """The processes that have ended and have not been reaped."""
        every = self.first.children(recursive=True)
        return [each for each in every if each.status() == psutil.STATUS_ZOMBIE]

    def status(self, path: str) -> int:
        """Returns the status of the response to a GET."""
        return requests.get(f"{self.url}{path}", timeout=TIMEOUT_SECONDS).status_code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stops the service; returns its exit code."""
        self.first.send_signal(number)
        return self.unshare.wait(TIMEOUT_SECONDS)


@contextmanager
def container(data_dir: Path) -> Iterator[Container]:
    """Runs a service as an ordinary user in a new PID namespace during the block."""
    namespaces.need("--pid", "--mount-proc")
    serve = as_ordinary_user(*CCS, "serve", "--port", "0", "--json", "--workers", "1")
    env = environment(
        CCS_DATA_DIR=str(data_dir),
        CCS_ACCESS_LOG="off",
        CCS_SHUTDOWN_TIMEOUT=str(SHUTDOWN_TIMEOUT),
        TMPDIR=str(data_dir),
    )
    process = subprocess.Popen(
        [namespaces.UNSHARE, "--pid", "--fork", "--kill-child", "--mount-proc", *serve],
        env=env, cwd="/", stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout
        ready = process.stdout.readline()
        try:
            assert ready, "it has ended"
            yield Container(json.loads(ready)["url"], process)
        finally:
            process.kill()  # this ends every process in the namespace


def test_a_killed_postgresql_is_reaped_and_started_again(nobodys_directory: Path) -> None:
    with container(nobodys_directory) as service:
        for _ in range(2):
            killed = service.postmaster
            assert killed
            killed.kill()
            wait_until(lambda killed=killed: not killed.is_running())  # type: ignore[misc]
            wait_until(lambda: service.status("/readyz") == 200)
            assert service.status("/healthz") == 200
        wait_until(lambda: not service.zombies)
        supervisor = next(each for each in service.first.children() if each.name() != "postgres")
        supervisor.kill()
        assert service.unshare.wait(TIMEOUT_SECONDS) == 128 + signal.SIGKILL, (
            "its code is the service's"
        )


def test_it_stops_in_time_if_the_database_cannot_be_started_again(nobodys_directory: Path) -> None:
    with container(nobodys_directory) as service:
        with (nobodys_directory / "postgres" / "postgresql.conf").open("a") as configuration:
            configuration.write("shared_buffers = 'plenty'\n")
        killed = service.postmaster
        assert killed
        killed.kill()
        wait_until(lambda: service.status("/readyz") == 503)
        began = monotonic()
        assert service.stop() == 0
        assert monotonic() - began < SHUTDOWN_TIMEOUT + 0.5 + MARGIN_SECONDS
