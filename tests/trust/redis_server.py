"""A Redis server that can be stopped and restarted."""

import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import wait_until

REDIS = shutil.which("redis-server")


class RedisServer:
    """An in-memory Redis server on a port that stays the same after a restart."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Starts the server without data."""
        assert REDIS
        command = [REDIS, "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL)
        wait_until(self._is_listening)

    def stop(self) -> None:
        """Kills the server, which closes its connections."""
        self.process.kill()
        self.process.wait()

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
