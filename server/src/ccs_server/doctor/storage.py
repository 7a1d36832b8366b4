"""Checks directories: whether the service may use them, and whether their disks have room."""

import os
import shutil
import tempfile
from pathlib import Path
from stat import S_IMODE

from ccs_server.doctor.finding import Finding, Severity
from ccs_server.embedded import POSTGRESQL_VERSION, EmbeddedError, EmbeddedPostgres
from ccs_server.settings import Settings

_MEGABYTE = 1_000_000
_LEAST_DATA = 200 * _MEGABYTE
_LITTLE_DATA = 2_000 * _MEGABYTE
_LEAST_TEMPORARY = 16 * _MEGABYTE

# PostgreSQL accepts a cluster that its owner alone can open, or that the owner's group can read.
_REFUSED_MODES = 0o027


def check_data_dir(settings: Settings) -> list[Finding]:
    """Checks the directory of the embedded database, whether it exists yet or not."""
    try:
        EmbeddedPostgres(settings.data_dir).check_path()
    except EmbeddedError as error:
        return [
            Finding(
                str(error),
                "The database's socket is in this directory, and the path of a socket may not be longer.",
                "Set CCS_DATA_DIR to a shorter path.",
            )
        ]
    directory = _nearest(settings.data_dir.expanduser().absolute())
    if not os.access(directory, os.W_OK | os.X_OK):
        return [
            Finding(
                f"The user {os.geteuid()} may not write to {directory}, where CCS_DATA_DIR is or would be.",
                "The embedded database keeps its data there.",
                f"Run 'chown {os.geteuid()} {directory}', set CCS_DATA_DIR to another directory, or run as its owner.",
            )
        ]
    return _check_cluster(settings.data_dir.expanduser() / "postgres")


def check_space(settings: Settings) -> list[Finding]:
    """Checks that there is room for temporary files and, if the database is embedded, for data."""
    return _check_temporary() + ([] if settings.database_url else _check_data(settings.data_dir))


def _check_cluster(cluster: Path) -> list[Finding]:
    version_file = cluster / "PG_VERSION"
    if not version_file.exists():
        return []
    if (mode := S_IMODE(cluster.stat().st_mode)) & _REFUSED_MODES:
        return [
            Finding(
                f"The mode of {cluster} is {mode:04o}, which lets other users in.",
                "PostgreSQL does not start with data that others could read or change.",
                f"Run 'chmod 700 {cluster}'.",
            )
        ]
    version = version_file.read_text().strip()
    if version != POSTGRESQL_VERSION:
        return [
            Finding(
                f"The data in {cluster} is of PostgreSQL {version}, and this release has {POSTGRESQL_VERSION}.",
                "PostgreSQL cannot read the data of another major version.",
                "Run 'ccs backup' of the release that made it, then 'ccs restore' with a new CCS_DATA_DIR.",
            )
        ]
    return []


def _check_temporary() -> list[Finding]:
    try:
        directory = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return [
            Finding(
                "There is no directory for temporary files that can be written.",
                "The workers keep their metrics there, so the service does not start.",
                "Set TMPDIR to a directory that can be written; in a container, mount one at /tmp.",
            )
        ]
    free = shutil.disk_usage(directory).free
    if free >= _LEAST_TEMPORARY:
        return []
    return [
        Finding(
            f"{directory} has {free // _MEGABYTE} MB left.",
            "The workers keep their metrics there, some megabytes.",
            "Free some space, or set TMPDIR to another directory.",
        )
    ]


def _check_data(data_dir: Path) -> list[Finding]:
    free = shutil.disk_usage(_nearest(data_dir.expanduser().absolute())).free
    if free >= _LITTLE_DATA:
        return []
    return [
        Finding(
            f"The disk of {data_dir} has {free // _MEGABYTE:,} MB left.",
            "Saves are refused while the disk is full. The log of changes alone takes up to 2 GB.",
            "Free some space, or set CCS_DATA_DIR to a directory on a larger disk; 'ccs size' says how large.",
            Severity.PROBLEM if free < _LEAST_DATA else Severity.WARNING,
        )
    ]


def _nearest(path: Path) -> Path:
    """Returns the directory itself, or the nearest one above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
