"""Runs the tests on another PostgreSQL. `CCS_TEST_POSTGRES` is the directory of its programs:

CCS_TEST_POSTGRES=/usr/lib/postgresql/15/bin pytest tests/store tests/api
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

VARIABLE = "CCS_TEST_POSTGRES"

# PostgreSQL refuses to run as root. This user exists on every system, and the files are removed after the run.
_UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class OtherPostgres:
    """A cluster in `directory`, with its socket there."""

    programs: Path
    directory: Path

    @property
    def url(self) -> str:
        """The URL of its database `postgres`."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.directory))}"

    def start(self) -> None:
        """Creates the cluster and starts it."""
        self.directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.directory, _UNPRIVILEGED)
            self.directory.parent.chmod(0o711)
        self._run("initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=trust")
        options = f"-c max_connections=200 -c listen_addresses= -k '{self.directory}'"
        log = self.directory / "log"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={log}", f"--options={options}")

    def stop(self) -> None:
        """Stops the cluster and keeps its files."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / program, f"--pgdata={self.directory / 'data'}", *arguments],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            # If the server inherited our pipes, readers of the pipes would wait for it.
            stdout=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C"},
            user=_UNPRIVILEGED if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
