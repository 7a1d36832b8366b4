"""`ccs backup` and `ccs restore`: saves everything that the service stores to one file, and restores it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import click

from ccs_server.cli.common import as_json_option, located_database, say
from ccs_server.store import backup as store
from ccs_server.store.backup import Backup, BackupError

_file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.command("backup")
@_file_argument
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@as_json_option
def backup(file: Path, *, force: bool, as_json: bool) -> None:
    """Write a consistent snapshot of everything that the service stores to FILE.

    The service may run meanwhile. FILE appears when it is complete. It contains secrets, so only its owner can read it.
    """
    with located_database() as url, _whole_file(file, force=force) as opened:
        made = store.save(url, opened)
    size = file.stat().st_size
    text = f"Backed up {_contents(made)} to {file}, {size:,} bytes."
    say({"file": str(file), "bytes": size, **_summary(made)}, text, as_json=as_json)


@click.command("restore")
@_file_argument
@click.option("--force", is_flag=True, help="Delete the data that the database contains.")
@as_json_option
def restore(file: Path, *, force: bool, as_json: bool) -> None:
    """Restore the backup in FILE to an empty database, as a whole or not at all.

    No `ccs serve` may be running on the database. A backup of an earlier release is migrated.
    """
    if not file.is_file():
        raise BackupError(
            f"{file} is not a file that exists; use a file that 'ccs backup' has written."
        )
    with located_database() as url:
        try:
            with file.open("rb") as opened:
                restored = store.load(url, opened, replace=force)
        except OSError as error:
            raise BackupError(f"{file} cannot be read ({error.strerror}).") from error
    say(_summary(restored), f"Restored {_contents(restored)}.", as_json=as_json)


def _summary(backup: Backup) -> dict[str, object]:
    return {"schema": backup.schema, "created_at": backup.created_at, "rows": backup.rows}


def _contents(backup: Backup) -> str:
    return f"{backup.rows['property']:,} properties, as of {backup.created_at} and schema {backup.schema},"


@contextmanager
def _whole_file(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Opens a temporary file, and renames it to `path` at the end of the block, once it is on disk.

    After an exception, the temporary file is deleted.

    Raises:
        BackupError: the file cannot be written, or it exists and `force` is false.
    """
    target = path.resolve()
    if str(path) == "-" or (target.exists() and not target.is_file()):
        raise BackupError(
            f"{path} is not a regular file; name one, since only a file can appear once it is whole."
        )
    if target.exists() and not force:
        raise BackupError(f"{path} exists; name another file, or replace this one with --force.")
    try:
        # A temporary file has the mode 0600.
        with NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        _sync_directory(target.parent)
    except OSError as error:
        raise BackupError(f"{path} cannot be written ({error.strerror}).") from error


def _sync_directory(directory: Path) -> None:
    """Writes the directory's entries to disk, so that a power failure cannot lose the file's name."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
