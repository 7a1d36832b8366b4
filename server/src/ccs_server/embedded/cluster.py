"""Creates a cluster: the directory in which a PostgreSQL server stores its data."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ccs_server.embedded.errors import EmbeddedError, disk_is_full, reports_full_disk
from ccs_server.embedded.privileges import (
    POSTGRESQL_VERSION,
    make_directory,
    owner_of_new_cluster,
    run,
)

# Written to the postgresql.conf of a new cluster, where the operator may change them later (docs/configuration.md).
_CONFIGURATION = {
    # Enough for all connections of the workers and the command line. An idle connection takes about 2 MB.
    "max_connections": "200",
    "shared_buffers": "256MB",
    # An acknowledged write is on disk. These are PostgreSQL's defaults, stated because the contract promises it.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Checkpoints by time rather than by volume write fewer full pages to the WAL, and latencies vary less.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # Only the Unix socket accepts connections.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Keep a week of logs, one file per day. Statement parameters are never logged, since they contain clients' data.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# One call for the file system, instead of one for each of a thousand files. Only Linux has it; it reports errors since
# Linux 5.8.
_SYNC = ("--sync-method=syncfs",) if sys.platform == "linux" else ()


def ensure_cluster(cluster: Path, *, pass_fds: Sequence[int]) -> None:
    """Creates the cluster if it does not exist.

    It is created under another name and renamed when complete, so a crash leaves no incomplete cluster. The programs
    that create it inherit the file descriptors `pass_fds`.

    Raises:
        EmbeddedError: the cluster cannot be created, or is of another version of PostgreSQL.
    """
    version_file = cluster / "PG_VERSION"
    if version_file.exists():
        version = version_file.read_text().strip()
        if version != POSTGRESQL_VERSION:
            raise EmbeddedError(
                f"The cluster in {cluster} is of PostgreSQL {version}, this is {POSTGRESQL_VERSION}; "
                "run 'ccs backup' of the version that made it, then 'ccs restore' with a new CCS_DATA_DIR."
            )
        return
    unfinished = cluster.with_suffix(".new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    make_directory(unfinished, owner_of_new_cluster(cluster.parent))
    made = run(
        "initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--auth-local=trust", "--auth-host=reject",
        "--no-instructions", *_SYNC, *(f"--set={name}={value}" for name, value in _CONFIGURATION.items()),
        cluster=unfinished, pass_fds=pass_fds,
    )  # fmt: skip
    if made.returncode:
        if reports_full_disk(made.stderr):
            raise disk_is_full(cluster.parent)
        raise EmbeddedError(
            f"A database cannot be created in {cluster.parent}: {_reason(made.stderr)}."
        )
    unfinished.rename(cluster)
    _sync(cluster.parent)


def _reason(text: str) -> str:
    """Extracts the reason for a failure from the output of one of PostgreSQL's programs."""
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "error: " in line or "FATAL: " in line]
    return (wrong or lines or ["it has printed no reason"])[0]


def _sync(directory: Path) -> None:
    """Writes the entries of a directory to disk, so that a power failure cannot lose the name of a cluster in use."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
