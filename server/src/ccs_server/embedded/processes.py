"""Tells whether a process is the server of a cluster.

A process id is not enough. The id in a stale `postmaster.pid` may belong to a zombie, or to another process after a
reboot or in a container. PostgreSQL itself only checks whether a process of its user has that id.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

_NAME = "postgres"

# The server writes its start time some time after the process has started, and `ps` rounds to seconds.
_START_TOLERANCE = 60.0


def is_server(pid: int, cluster: Path, started: float | None) -> bool:
    """Whether the process is the server of the cluster.

    `started` is the start time in the server's lock file, in seconds since 1970; None if the file does not contain it.
    """
    if sys.platform == "linux":
        return _is_server_by_proc(pid, cluster)
    asked = subprocess.run(  # noqa: S603 - the arguments are ours
        ["/bin/ps", "-o", "stat=", "-o", "lstart=", "-o", "comm=", "-p", str(pid)],
        check=False, capture_output=True, text=True, env={"LC_ALL": "C"},
    )  # fmt: skip
    return is_server_by_ps(asked.stdout, started)


def _is_server_by_proc(pid: int, cluster: Path) -> bool:
    """As `is_server`, by /proc: the working directory of a server is its cluster."""
    process = Path(f"/proc/{pid}")
    try:
        name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
        if name != _NAME or rest.split()[0] in {"Z", "X"}:
            return False
        try:
            return (process / "cwd").samefile(cluster)
        except PermissionError:
            # The process belongs to another user, whose processes even root may not be allowed to inspect.
            return process.stat().st_uid == cluster.stat().st_uid
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_server_by_ps(line: str, started: float | None) -> bool:
    """As `is_server`, by the output of `ps -o stat= -o lstart= -o comm=`, which does not include the directory.

    If `started` is None, any running PostgreSQL is taken for the server.
    """
    fields = line.split(maxsplit=6)
    if len(fields) < 7:  # noqa: PLR2004 - the state, five parts of the start, the program
        return False
    state, *start, program = fields
    if state.startswith("Z") or os.path.basename(program.strip()) != _NAME:  # noqa: PTH119 - may be "(postgres)"
        return False
    if started is None:
        return True
    began = time.mktime(time.strptime(" ".join(start)))
    return abs(began - started) <= _START_TOLERANCE
