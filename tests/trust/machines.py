"""A Debian that boots its own systemd, in namespaces of this machine. It requires root."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.waiting import wait_until

NSPAWN = Path("/usr/bin/systemd-nspawn")
_COMMAND_SECONDS = 120
_BOOT_SECONDS = 120


@dataclass(frozen=True)
class Machine:
    """A machine that has booted."""

    init: int
    """Its process 1, as this machine numbers it."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as root, in the machine."""
        return subprocess.run(
            [
                "/usr/bin/nsenter", "--target", str(self.init), "--mount", "--uts", "--ipc", "--net", "--pid",
                *command,
            ],
            check=False, capture_output=True, text=True, timeout=_COMMAND_SECONDS,
        )  # fmt: skip

    def show(self, unit: str, name: str) -> str:
        """Returns a property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()


@contextmanager
def booted(root: Path, log: Path) -> Iterator[Machine]:
    """Boots the file system `root` for the length of the block, with a loopback network only."""
    command = [
        str(NSPAWN), "--directory", str(root), "--boot", "--private-network", "--register=no", "--keep-unit",
        "--console=pipe", "--quiet",
    ]  # fmt: skip
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until(lambda: bool(_init_of(process)), seconds=_BOOT_SECONDS)
            machine = Machine(_init_of(process)[0])
            # `degraded` also counts: a part of the machine that containers lack may fail.
            done = ("running", "degraded")
            wait_until(
                lambda: machine.run("systemctl", "is-system-running").stdout.strip() in done,
                seconds=_BOOT_SECONDS,
            )
            yield machine
        finally:
            # systemd's signal to power off.
            for pid in _init_of(process):
                os.kill(pid, signal.SIGRTMIN + 4)
            try:
                process.wait(_COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _init_of(process: subprocess.Popen[bytes]) -> list[int]:
    assert process.poll() is None, "the machine has ended"
    children = psutil.Process(process.pid).children()
    return [child.pid for child in children if child.name() == "systemd"]
