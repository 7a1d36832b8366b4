"""Small disks, which a test can fill."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support import namespaces
from tests.support.users import NOBODY


@dataclass(frozen=True)
class Disk:
    """A small file system in a mount namespace, visible only to commands that `inside` wraps."""

    mounted_by: int
    directory: Path

    def inside(self, *command: str) -> list[str]:
        """Returns the command line that runs a program in the mount namespace."""
        return ["nsenter", f"--mount=/proc/{self.mounted_by}/ns/mnt", *command]

    def fill(self) -> None:
        """Fills the remaining space."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(65_536)):
                    pass
            except OSError as error:
                assert error.strerror == os.strerror(28)  # noqa: PT017 - no space left

    def free(self) -> None:
        """Frees the space again."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self.mounted_by}/root{self.directory}/filler")


@contextmanager
def disk(directory: Path, megabytes: int) -> Iterator[Disk]:
    """Mounts a disk of an ordinary user during the block."""
    namespaces.need("--mount")
    mount = f"mount -t tmpfs -o size={megabytes}m,uid={NOBODY},mode=700 ccs '{directory}' && echo mounted && exec cat"
    holder = subprocess.Popen(
        [namespaces.UNSHARE, "--mount", "sh", "-c", mount],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "mounted\n"
        namespace = Path(f"/proc/{holder.pid}/ns/mnt").readlink()
        yield Disk(holder.pid, directory)
        # The holder, and a server that was left running there.
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):
                if Path(f"/proc/{process.pid}/ns/mnt").readlink() == namespace:
                    process.kill()
