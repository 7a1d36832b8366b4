"""Whether a process is the server of a cluster: a process id alone does not tell.

The id in a left-over `postmaster.pid` may be that of a zombie, or have been given to another process, after a reboot
or in a container. PostgreSQL itself asks only whether a process of its user has that id.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

_NAME = "postgres"

# From the start of the process until the server notes its own start; and `ps` counts in whole seconds.
_START_TOLERANCE = 60.0


def is_server(pid: int, cluster: Path, started: float | None) -> bool:
    """Whether the process is the server of the cluster, which noted `started` (seconds since 1970) as its start."""
    if sys.platform == "linux":
        return _is_server_by_proc(pid, cluster)
    asked = subprocess.run(  # noqa: S603 - the arguments are ours
        ["/bin/ps", "-o", "stat=", "-o", "lstart=", "-o", "comm=", "-p", str(pid)],
        check=False, capture_output=True, text=True, env={"LC_ALL": "C"},
    )  # fmt: skip
    return is_server_by_ps(asked.stdout, started)


def _is_server_by_proc(pid: int, cluster: Path) -> bool:
    """A server's working directory is its cluster."""
    process = Path(f"/proc/{pid}")
    try:
        name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
        if name != _NAME or rest.split()[0] in {"Z", "X"}:
            return False
        try:
            return (process / "cwd").samefile(cluster)
        except PermissionError:
            # Another user's process; also where we are root but may not look into those of others.
            return process.stat().st_uid == cluster.stat().st_uid
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_server_by_ps(line: str, started: float | None) -> bool:
    """The same by what `ps -o stat= -o lstart= -o comm=` prints of it, which does not tell the directory.

    `started` is None where the server's lock file does not tell it; then any PostgreSQL may be it.
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
