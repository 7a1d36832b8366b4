"""A Redis that can go away and come back."""

import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import wait_until

REDIS = shutil.which("redis-server")


class RedisServer:
    """A Redis in memory, on a port of its own that stays the same when it is started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Starts it, with nothing in it."""
        assert REDIS
        command = [REDIS, "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL)
        wait_until(self._is_listening)

    def stop(self) -> None:
        """Ends it, and its connections with it."""
        self.process.kill()
        self.process.wait()

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
