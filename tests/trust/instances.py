"""Instances of the service that are killed while they serve."""

from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL

from tests.support.service import Server, environment, serving
from tests.trust.processes import signal_tree


class Instance:
    """A `ccs serve` that can be killed and comes back at the same port."""

    def __init__(self, url: str, log: Path) -> None:
        self._env = environment(
            CCS_DATABASE_URL=url,
            CCS_ACCESS_LOG="off",
            CCS_PURGE_INTERVAL="0.5",
            CCS_CONNECT_TIMEOUT="2",
            CCS_WEBHOOK_ALLOW="127.0.0.1",
        )
        self._log = log.open("w")
        self._running = ExitStack()
        self.server = self._start("0")

    def _start(self, port: str) -> Server:
        started = serving("--port", port, "--workers", "1", env=self._env, log=self._log)
        return self._running.enter_context(started)

    def kill_and_start(self) -> None:
        signal_tree(self.server.process.pid, SIGKILL)
        self.server.process.wait()
        self.server = self._start(str(self.server.port))

    def close(self) -> None:
        self._running.close()
        self._log.close()
