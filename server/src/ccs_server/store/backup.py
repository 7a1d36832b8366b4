"""Backups: saving the whole store to one file, and restoring it.

A backup is a ZIP archive with one member for each table, in the text format of PostgreSQL's COPY, and a
`manifest.json`, which is written last. Saving and restoring use the service's own driver, so they work wherever the
service does: with TLS, through a pooler, on PostgreSQL 15 or later. docs/decisions.md explains why pg_dump is not used.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedWriter
from typing import IO, cast
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Connection, text

from ccs_server.store import schema
from ccs_server.store.tables import metadata

_FORMAT = "ccs-backup"
_FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_VERSION_TABLE = "alembic_version"

_BLOCK_BYTES = 256 * 1024
# Compression takes most of the time. Level 1 takes a third of the default level's time, and files are a fifth larger.
_COMPRESSION = 1

# Values are formatted so that any server reads them the same way. The timeouts override those of the role, which could
# interrupt a long COPY.
_SESSION = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "30s",
}


class BackupError(Exception):
    """A backup cannot be saved or restored; the message is one sentence that says why and what to do."""


@dataclass(frozen=True)
class SavedTable:
    """The part of a backup's manifest that describes one table."""

    columns: list[str]
    rows: int
    identities: dict[str, int]
    """The last value of each sequence, by the column that it fills."""


@dataclass(frozen=True)
class Backup:
    """The manifest of a backup."""

    schema: str
    """The schema revision of its tables."""
    created_at: str
    """The time of its snapshot, UTC in ISO 8601."""
    tables: dict[str, SavedTable]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows by table."""
        return {name: table.rows for name, table in self.tables.items()}


def save(url: str, file: IO[bytes]) -> Backup:
    """Writes a consistent snapshot of the store at `url` to `file`. The service may run meanwhile.

    Raises:
        BackupError: the database holds no store, or one of a newer release.
        Unavailable: the database cannot be used now.
        OSError: `file` cannot be written.
    """
    with schema.transaction(url) as connection:
        # All further queries see the snapshot of the first one.
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        _prepare(connection)
        revision = _revision(connection)
        if revision is None:
            raise BackupError(
                "The database contains no store of CCS; check CCS_DATABASE_URL and CCS_DATA_DIR."
            )
        _refuse_newer(revision, "The database")
        moment = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        created_at = connection.execute(text(moment)).scalar_one()
        with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
            tables = {name: _save_table(connection, archive, name) for name in _tables(connection)}
            made = Backup(revision, created_at, tables)
            header = {"format": _FORMAT, "version": _FORMAT_VERSION}
            archive.writestr(_MANIFEST, json.dumps(header | asdict(made), indent=1))
    return made


def load(url: str, file: IO[bytes], *, replace: bool = False) -> Backup:
    """Restores the backup in `file` to the database at `url` and migrates it, in one transaction.

    Args:
        url: the database.
        file: the backup; it must be seekable.
        replace: whether existing data may be deleted.

    Raises:
        BackupError: `file` is not a backup, is damaged, or is of a newer release; or the database is in use, or
            holds data that may not be deleted.
        Unavailable: the database cannot be used now.
        OSError: `file` cannot be read.
    """
    with _opened(file) as (archive, backup), schema.transaction(url) as connection:
        _prepare(connection)
        schema.lock(connection)
        _refuse_users(connection)
        _drop_tables(connection, replace=replace)
        schema.upgrade(connection, backup.schema)
        for name, table in backup.tables.items():
            _load_table(connection, archive, name, table)
        schema.upgrade(connection)
        # Positions in change logs are used again from here on, for other events: it is another history.
        connection.execute(
            text("UPDATE change_head SET epoch = extract(epoch FROM clock_timestamp()) * 1000")
        )
        connection.execute(text("ANALYZE"))
    return backup


def _prepare(connection: Connection) -> None:
    for name, setting in _SESSION.items():
        connection.execute(
            text("SELECT set_config(:name, :setting, true)"), {"name": name, "setting": setting}
        )


def _revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None if it has none."""
    if not _exists(connection, _VERSION_TABLE):
        return None
    revision: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision


def _refuse_newer(revision: str, what: str) -> None:
    """Raises BackupError if this release does not know the revision."""
    if revision not in schema.revisions():
        raise BackupError(
            f"{what} is of a newer release, with schema {revision} instead of {schema.CURRENT}; use that release."
        )


def _tables(connection: Connection) -> list[str]:
    """The store's tables that exist in the database, each after the tables that it refers to."""
    return [table.name for table in metadata.sorted_tables if _exists(connection, table.name)]


def _exists(connection: Connection, table: str) -> bool:
    found: bool = connection.execute(
        text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}
    ).scalar_one()
    return found


def _columns(connection: Connection, table: str) -> list[str]:
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        ORDER BY attnum
    """
    return list(connection.execute(text(query), {"table": table}).scalars())


def _sequences(connection: Connection, table: str) -> dict[str, str]:
    """The table's sequences, by the column that each fills."""
    query = """
        SELECT attname, pg_get_serial_sequence(:table, attname) AS sequence FROM pg_attribute
        WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped
            AND pg_get_serial_sequence(:table, attname) IS NOT NULL
    """
    found = connection.execute(text(query), {"table": table})
    return {row.attname: row.sequence for row in found}


def _save_table(connection: Connection, archive: ZipFile, name: str) -> SavedTable:
    columns = _columns(connection, name)
    with (
        archive.open(_member(name), "w", force_zip64=True) as member,
        BufferedWriter(member, _BLOCK_BYTES) as buffered,
        _driver(connection).cursor() as cursor,
    ):
        with cursor.copy(_copy(name, columns, "TO STDOUT")) as copy:
            for block in copy:
                buffered.write(block)
        rows = cursor.rowcount
    # Sequences are not part of a snapshot. Read after the rows, they are never behind them.
    identities = {
        column: connection.execute(text(f"SELECT last_value FROM {sequence}")).scalar_one()
        for column, sequence in _sequences(connection, name).items()
    }
    return SavedTable(columns, rows, identities)


def _load_table(connection: Connection, archive: ZipFile, name: str, table: SavedTable) -> None:
    if not set(table.columns) <= set(_columns(connection, name)):
        raise _damaged(f"its schema has no such columns of {name}")
    with archive.open(_member(name)) as member, _driver(connection).cursor() as cursor:
        try:
            with cursor.copy(_copy(name, table.columns, "FROM STDIN")) as copy:
                while block := member.read(_BLOCK_BYTES):
                    copy.write(block)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise _damaged(str(error).splitlines()[0]) from error
        if cursor.rowcount != table.rows:
            raise _damaged(f"{name} has {cursor.rowcount} rows instead of {table.rows}")
    for column, sequence in _sequences(connection, name).items():
        connection.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :value)"),
            {"sequence": sequence, "value": table.identities[column]},
        )


def _copy(table: str, columns: list[str], direction: str) -> Composed:
    names = SQL(", ").join(Identifier(column) for column in columns)
    return SQL("COPY {} ({}) {}").format(Identifier(table), names, SQL(direction))


def _driver(connection: Connection) -> psycopg.Connection:
    """The psycopg connection, in the same transaction; SQLAlchemy does not support COPY."""
    return cast("psycopg.Connection", connection.connection.driver_connection)


def _member(table: str) -> str:
    return f"{table}.copy"


def _refuse_users(connection: Connection) -> None:
    """Raises BackupError if a service is connected, because its clients would lose data that they have saved."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'ccs' AND pid <> pg_backend_pid()
    """
    if users := connection.execute(text(query)).scalar_one():
        raise BackupError(
            f"The database is in use by ccs ({users} connections); stop every 'ccs serve' on it, then restore."
        )


def _drop_tables(connection: Connection, *, replace: bool) -> None:
    """Drops the store's tables; they are then created again in the backup's revision.

    Raises:
        BackupError: one contains data that may not be replaced, or they are of a newer release.
    """
    tables = _tables(connection)
    if revision := _revision(connection):
        _refuse_newer(revision, "The database")
        tables.append(_VERSION_TABLE)
    full = (f"EXISTS (SELECT FROM {table})" for table in tables if table != _VERSION_TABLE)
    if (
        not replace
        and connection.execute(text(f"SELECT {' OR '.join(full) or 'false'}")).scalar_one()
    ):
        raise BackupError(
            "The database contains data; restore to an empty database, or replace all of its data with --force."
        )
    if tables:
        connection.execute(text(f"DROP TABLE {', '.join(tables)}"))


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[tuple[ZipFile, Backup]]:
    """Opens the archive in `file` and reads its manifest.

    Raises:
        BackupError: it is not a backup or is of a newer release, or the block finds that it is damaged.
    """
    try:
        archive = ZipFile(file)
    except BadZipFile as error:
        raise _foreign() from error
    with archive:
        backup = _read_manifest(archive)
        _refuse_newer(backup.schema, "The backup")
        try:
            yield archive, backup
        except (BadZipFile, zlib.error, EOFError) as error:
            raise _damaged(str(error)) from error


def _read_manifest(archive: ZipFile) -> Backup:
    try:
        said = json.loads(archive.read(_MANIFEST))
        if (said.pop("format"), said.pop("version")) != (_FORMAT, _FORMAT_VERSION):
            raise _foreign()
        tables = {name: SavedTable(**table) for name, table in said.pop("tables").items()}
        return Backup(tables=tables, **said)
    except (KeyError, TypeError, ValueError, AttributeError, BadZipFile, zlib.error) as error:
        raise _foreign() from error


def _foreign() -> BackupError:
    return BackupError(
        "The file is not a complete backup, or is of a newer release; use a file that 'ccs backup' has written."
    )


def _damaged(reason: str) -> BackupError:
    return BackupError(f"The backup is damaged ({reason}); nothing was restored, use another.")
