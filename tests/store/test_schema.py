"""The migrations: the schema that they create, and that they may run concurrently."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, make_url, text

from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import programs
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from ccs_server.store.purge import purge
from ccs_server.store.tables import metadata
from tests.support.databases import Cluster, create_database


def test_migrations_create_the_tables_of_the_code(
    cluster: Cluster, empty_database_url: str
) -> None:
    schema.migrate(empty_database_url)
    modelled_url = create_database(cluster, "modelled")
    engine = create_engine(
        make_url(modelled_url).set(drivername="postgresql+psycopg"), poolclass=NullPool
    )
    metadata.create_all(engine)
    assert _dumped(empty_database_url) == _dumped(modelled_url)


def _dumped(url: str) -> str:
    """Returns the schema from pg_dump: columns, types, collations, defaults, keys, indexes and storage parameters."""
    command = [
        str(programs() / "pg_dump"),
        "--schema-only",
        "--exclude-table=alembic_version",
        "--dbname",
        url,
    ]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "CREATE TABLE public.property" in dump
    # pg_dump writes a random word into each script, and Debian's 15.20 a number of its own into each column's options.
    lines = dump.splitlines()
    return "\n".join(
        line
        for line in lines
        if not line.startswith((r"\restrict", r"\unrestrict")) and "(pg_attver=" not in line
    )


def test_the_code_names_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(schema.alembic_config())
    assert scripts.get_current_head() == schema.CURRENT


def test_revisions_are_numbers_so_that_a_later_one_compares_greater() -> None:
    scripts = ScriptDirectory.from_config(schema.alembic_config())
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)
    assert revisions == sorted(revisions, reverse=True)


def test_properties_saved_before_purge_at_existed_are_purged_when_they_expire(
    empty_database_url: str,
) -> None:
    schema.migrate(empty_database_url, "0001")
    database = Database(empty_database_url, Settings())
    save = """
        INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at)
        VALUES ('a', 1, 's', 'expired', '1', 1, now() - interval '1 s'),
            ('a', 1, 's', 'expires', '1', 1, now() + interval '1 day'),
            ('a', 1, 's', 'stays', '1', 1, 'infinity')
    """
    with database.engine.connect() as connection:
        connection.execute(text(save))
        schema.migrate(empty_database_url)
        assert purge(database).properties == 1
        left = "SELECT name, purge_at = expires_at FROM property ORDER BY name"
        assert connection.execute(text(left)).all() == [("expires", True), ("stays", None)]
    database.release()


def test_concurrent_migrations_are_safe(empty_database_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(schema.migrate, empty_database_url) for _ in range(8)]:
            done.result()
    _check(empty_database_url)


def test_an_empty_database_is_not_current(empty_database_url: str) -> None:
    with pytest.raises(Unavailable, match="ccs migrate"):
        _check(empty_database_url)


def _check(url: str) -> None:
    database = Database(url, Settings())
    try:
        schema.check(database)
    finally:
        database.release()
