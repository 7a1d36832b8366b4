"""Making a cluster: the directory in which a PostgreSQL server keeps its data."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ccs_server.embedded.errors import EmbeddedError, disk_is_full, tells_of_full_disk
from ccs_server.embedded.privileges import (
    POSTGRESQL_VERSION,
    make_directory,
    owner_of_new_cluster,
    run,
)

# Written once, into a new cluster's postgresql.conf, where the operator may change them (docs/configuration.md).
_CONFIGURATION = {
    # Workers × pool + command line; each idle connection costs about 2 MB.
    "max_connections": "200",
    "shared_buffers": "256MB",
    # An answered write is on disk: these are PostgreSQL's defaults, written down because we promise it.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Checkpoints by time rather than by volume: fewer full pages in the log, smoother latencies.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # The socket is the only entrance.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # A week of logs, a file a day. Parameters of statements hold clients' values: they are never logged.
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


def ensure_cluster(cluster: Path, *, pass_fds: Sequence[int]) -> None:
    """Makes the cluster if there is none. A half-made one, left by a crash, never gets its name.

    The programs that make it inherit the file descriptors `pass_fds`.

    Raises:
        EmbeddedError: it cannot be made, or is one of another version of PostgreSQL.
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
        "--no-instructions", *(f"--set={name}={value}" for name, value in _CONFIGURATION.items()),
        cluster=unfinished, pass_fds=pass_fds,
    )  # fmt: skip
    if made.returncode:
        if tells_of_full_disk(made.stderr):
            raise disk_is_full(cluster.parent)
        raise EmbeddedError(
            f"A database cannot be made in {cluster.parent}: {_reason(made.stderr)}."
        )
    unfinished.rename(cluster)
    _sync(cluster.parent)


def _reason(text: str) -> str:
    """What a program of PostgreSQL's says went wrong, among the rest that it says."""
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "error: " in line or "FATAL: " in line]
    return (wrong or lines or ["it says nothing"])[0]


def _sync(directory: Path) -> None:
    """Writes the names in a directory to disk: what a cluster acknowledges must not outlive the cluster's name."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
