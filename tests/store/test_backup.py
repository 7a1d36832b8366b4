"""Backups: a store is restored as it was, or not changed."""

import io
import json
from collections.abc import Callable
from secrets import token_hex
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from sqlalchemy import Text, cast, inspect, select, text

from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import backup, credentials, namespaces, quotas, schema, signing_keys
from ccs_server.store.backup import BackupError
from ccs_server.store.database import Database
from ccs_server.store.tables import metadata
from tests.support.databases import create_database

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Rows = dict[str, list[str]]

FILL = """
    INSERT INTO namespace (account, name) VALUES ('a', 'kept'), ('a', 'deleted');
    INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at)
    SELECT 'a', id, 's' || n, E'tab\\t, line\\n, \\\\ and é 🙂 ' || n,
        CAST('{"digits": 1.10, "large": 1e400, "text": "\\u00e9\\n\\\\N"}' AS json), 60,
        CASE n % 3 WHEN 0 THEN 'infinity' WHEN 1 THEN now() + interval '1 day' ELSE now() - interval '1 day' END
    FROM namespace, generate_series(1, 300) AS n;
    INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
    SELECT 'a', id, '', 5 FROM namespace;
    INSERT INTO lease (account, namespace_id, session_id, owner, fence, expires_at, purge_at)
    SELECT 'a', id, 's1', 'bot', 7, now(), now() FROM namespace;
    INSERT INTO idempotent_response (account, credential, key_hash, request_hash, status, body)
    VALUES ('a', 'key', decode('00', 'hex'), decode('ff', 'hex'), 200, '{"results": [1.10]}');
    WITH gone AS (DELETE FROM namespace WHERE name = 'deleted' RETURNING id)
    INSERT INTO deleted_namespace (account, namespace_id) SELECT 'a', id FROM gone;
    INSERT INTO change_head (account, pos, epoch) VALUES ('a', 2, 1);
    INSERT INTO change_floor (account, ns, pos) VALUES ('a', 'n1', 1);
    INSERT INTO change (account, pos, ns, session_id, name, type, made_at, kept_until)
        VALUES ('a', 2, 'n1', 's1', 'p1', 'property.deleted', now(), now());
    INSERT INTO change_new (account, namespace_id, ns, session_id, name, type, made_at, keep_seconds)
        VALUES ('a', 1, 'n1', 's1', 'p1', 'property.deleted', now(), 60);
    INSERT INTO search_entry (account, namespace_id, session_id, name, key, listed_at, generation)
        SELECT 'a', id, 's1', 'p1', 's:x', now(), 1 FROM namespace;
    INSERT INTO job (account, id, kind, actor, request) VALUES ('a', 'j', 'erase', 'key:k', '{"match": {}}');
    INSERT INTO webhook (account, id, url, namespaces, epoch, pos)
        VALUES ('a', 'w', 'https://bot.example/', '{n1}', 1, 1);
    INSERT INTO activity (account, minute, saves) VALUES ('a', now(), 3);
    INSERT INTO webhook_secret (account, webhook_id, number, secret) VALUES ('a', 'w', 1, 'whsec_YQ==');
"""


def fill(url: str) -> None:
    """Stores at least one row in every table."""
    with schema.transaction(url) as connection:
        connection.execute(text(FILL.replace(":", r"\:")))
    database = Database(url, Settings())
    credentials.create_key(database, "a")
    credentials.create_credential(database, "a")
    quotas.set_quota(database, "a", {"bytes": 1000})
    signing_keys.rotate_signing_keys(database)
    database.release()


def rows(url: str) -> Rows:
    """Returns every row of every table, as PostgreSQL's text."""
    with schema.transaction(url) as connection:
        found = {
            name: sorted(connection.execute(select(cast(table.table_valued(), Text))).scalars())
            for name, table in metadata.tables.items()
        }
        # A restore begins another history of each change log.
        head = metadata.tables["change_head"].c
        found["change_head"] = sorted(map(repr, connection.execute(select(head.account, head.pos))))
        return found


def epochs(url: str) -> set[int]:
    """Returns which histories the change logs are of."""
    with schema.transaction(url) as connection:
        return {*connection.execute(select(metadata.tables["change_head"].c.epoch)).scalars()}


def tables(url: str) -> set[str]:
    """Returns the names of all tables in the database, including any that the code does not define."""
    with schema.transaction(url) as connection:
        return set(inspect(connection).get_table_names())


def saved(url: str) -> bytes:
    file = io.BytesIO()
    backup.save(url, file)
    return file.getvalue()


def restore(url: str, content: bytes, *, replace: bool = False) -> None:
    backup.load(url, io.BytesIO(content), replace=replace)


def rewritten(content: bytes, change: Callable[[dict[str, object]], None]) -> bytes:
    """Returns the backup with a changed manifest."""
    file = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as old, ZipFile(file, "w") as new:
        for name in old.namelist():
            manifest = old.read(name)
            if name == "manifest.json":
                said = json.loads(manifest)
                change(said)
                manifest = json.dumps(said).encode()
            new.writestr(name, manifest)
    return file.getvalue()


@pytest.fixture(scope="module")
def filled_url(cluster: EmbeddedPostgres) -> str:
    url = create_database(cluster, f"filled_{token_hex(6)}")
    schema.migrate(url)
    fill(url)
    return url


@pytest.fixture(scope="module")
def content(filled_url: str) -> bytes:
    """A backup of `filled_url`."""
    return saved(filled_url)


def test_a_store_is_restored_as_it_was(
    filled_url: str, content: bytes, empty_database_url: str
) -> None:
    restore(empty_database_url, content)
    before = rows(filled_url)
    assert {name for name, found in before.items() if not found} == set()
    assert rows(empty_database_url) == before


def test_a_restore_begins_another_history_of_the_change_log(
    filled_url: str, content: bytes, empty_database_url: str
) -> None:
    restore(empty_database_url, content)
    assert not epochs(filled_url) & epochs(empty_database_url)


def test_a_backup_is_a_consistent_snapshot_during_concurrent_writes(
    own_url: str, empty_database_url: str
) -> None:
    fill(own_url)
    before = rows(own_url)

    class Interrupted(io.BytesIO):
        """A file that lets another client write as soon as the backup writes its first byte."""

        is_first = True

        def write(self, block: "ReadableBuffer", /) -> int:
            if self.is_first:
                self.is_first = False
                fill_late(own_url)
            return super().write(block)

    file = Interrupted()
    backup.save(own_url, file)
    assert rows(own_url) != before
    restore(empty_database_url, file.getvalue())
    assert rows(empty_database_url) == before


def fill_late(url: str) -> None:
    database = Database(url, Settings())
    namespaces.register_namespace(database, "a", "late", 5)
    credentials.create_key(database, "late")
    database.release()


def test_a_namespace_created_after_a_restore_gets_an_unused_id(
    content: bytes, empty_database_url: str
) -> None:
    restore(empty_database_url, content)
    database = Database(empty_database_url, Settings())
    namespaces.register_namespace(database, "a", "new", None)
    database.release()
    with schema.transaction(empty_database_url) as connection:
        ids = connection.execute(
            text(
                "SELECT (SELECT id FROM namespace WHERE name = 'new'),"
                " (SELECT max(namespace_id) FROM property)"
            )
        ).one()
    assert ids[0] > ids[1], "it would find a deleted namespace's properties"


@pytest.mark.parametrize("revision", sorted(schema.revisions()))
def test_a_backup_holds_every_table_of_its_revision_and_is_migrated(
    cluster: EmbeddedPostgres, own_url: str, revision: str
) -> None:
    old_url = create_database(cluster, f"old_{revision}")
    schema.migrate(old_url, revision)
    with schema.transaction(old_url) as connection:
        connection.execute(text("INSERT INTO namespace (account, name) VALUES ('a', 'ns')"))
    file = io.BytesIO()
    made = backup.save(old_url, file)
    assert made.tables.keys() == tables(old_url) - {"alembic_version"}
    # The database is current already; its tables are replaced by older ones before the migration.
    restore(own_url, file.getvalue())
    assert len(rows(own_url)["namespace"]) == 1
    database = Database(own_url, Settings())
    schema.check(database)
    database.release()


def test_a_store_with_data_is_replaced_only_if_asked_to(
    filled_url: str, content: bytes, own_url: str
) -> None:
    fill(own_url)
    before = rows(own_url)
    with pytest.raises(BackupError, match=r"contains data.* --force"):
        restore(own_url, content)
    assert rows(own_url) == before
    restore(own_url, content, replace=True)
    assert rows(own_url) == rows(filled_url)


def test_a_store_in_use_is_never_replaced(
    content: bytes, own_url: str, own_database: Database
) -> None:
    schema.check(own_database)
    with pytest.raises(BackupError, match=r"in use by ccs .*; stop every 'ccs serve'"):
        restore(own_url, content, replace=True)
    own_database.release()
    restore(own_url, content, replace=True)


def test_a_damaged_backup_changes_nothing(
    filled_url: str, content: bytes, empty_database_url: str
) -> None:
    damaged = bytearray(content)
    with ZipFile(io.BytesIO(content)) as archive:
        offset = archive.getinfo("property.copy").header_offset
        size = archive.getinfo("property.copy").compress_size
    damaged[offset + size // 2] ^= 0x10
    with pytest.raises(BackupError, match="nothing was restored"):
        restore(empty_database_url, bytes(damaged))
    assert tables(empty_database_url) == set()
    with pytest.raises(BackupError, match="nothing was restored"):
        restore(filled_url, bytes(damaged), replace=True)
    assert saved_rows(saved(filled_url)) == saved_rows(content)


def saved_rows(content: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_backup_is_refused(
    content: bytes, empty_database_url: str, part: float
) -> None:
    with pytest.raises(BackupError, match="not a complete backup"):
        restore(empty_database_url, content[: int(len(content) * part)])


def test_a_file_that_is_not_a_backup_is_refused(empty_database_url: str) -> None:
    foreign = io.BytesIO()
    with ZipFile(foreign, "w") as archive:
        archive.writestr("manifest.json", "[]")
    for content in (b"PGDMP", foreign.getvalue()):
        with pytest.raises(BackupError, match="use a file that 'ccs backup' has written"):
            restore(empty_database_url, content)


def test_a_backup_that_contradicts_its_manifest_is_refused(
    content: bytes, empty_database_url: str
) -> None:
    def claim_more(said: dict[str, object]) -> None:
        tables = said["tables"]
        assert isinstance(tables, dict)
        tables["property"]["rows"] += 1

    with pytest.raises(BackupError, match="property has 600 rows instead of 601"):
        restore(empty_database_url, rewritten(content, claim_more))
    with pytest.raises(BackupError, match="of a newer release, with schema 9999"):
        restore(empty_database_url, rewritten(content, lambda said: said.update(schema="9999")))
    with pytest.raises(BackupError, match="of a newer release"):
        restore(empty_database_url, rewritten(content, lambda said: said.update(version=2)))


def test_a_store_of_a_newer_release_is_neither_saved_nor_replaced(
    content: bytes, own_url: str
) -> None:
    with schema.transaction(own_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupError, match="The database is of a newer release"):
        saved(own_url)
    with pytest.raises(BackupError, match="The database is of a newer release"):
        restore(own_url, content, replace=True)


def test_a_database_without_a_store_is_not_backed_up(empty_database_url: str) -> None:
    with pytest.raises(BackupError, match="contains no store of CCS"):
        saved(empty_database_url)


def test_a_database_that_cannot_be_reached_is_reported(content: bytes) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        restore("postgresql://u@127.0.0.1:1/d", content)
