"""Databases that cannot be reached or used, or that do not keep what the service promises."""

from base64 import b64encode
from pathlib import Path
from secrets import token_bytes, token_hex

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, text

from ccs_server.doctor import databases
from ccs_server.doctor.databases import check_database
from ccs_server.doctor.finding import Finding, Severity
from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import load_signing_keys
from tests.support.clock import Clock
from tests.support.databases import Cluster
from tests.support.pgbouncer import needs_pgbouncer, pooled
from tests.support.ports import free_port

OLD_REVISION = "0004"
# The cluster of the tests does not sync its files.
FSYNC = "These settings of PostgreSQL are off: fsync."


def findings(settings: Settings) -> list[Finding]:
    """Returns what is found beside `FSYNC`."""
    return [found for found in check_database(settings) if found.what != FSYNC]


def check(url: str) -> list[tuple[str, Severity]]:
    return [(found.what, found.severity) for found in findings(Settings(database_url=url))]


def execute(url: str, *statements: str) -> None:
    with schema.transaction(url) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_migrated_database_is_fine(own_url: str) -> None:
    assert check(own_url) == []


def test_a_database_that_cannot_be_reached_is_found() -> None:
    port = free_port()
    ((what, severity),) = check(f"postgresql://ccs:secret@127.0.0.1:{port}/ccs")
    assert "Connection refused" in what
    assert "secret" not in what
    assert severity is Severity.PROBLEM


def test_a_database_or_a_role_that_does_not_exist_is_found(own_url: str) -> None:
    url = make_url(own_url)
    for changed, reason in (
        (url.set(database="missing"), 'database "missing" does not exist'),
        (url.set(username="missing"), 'role "missing" does not exist'),
    ):
        ((what, _),) = check(changed.render_as_string(hide_password=False))
        assert reason in what


@needs_pgbouncer
def test_a_pooler_that_the_settings_do_not_expect_is_found(empty_database_url: str) -> None:
    with pooled(empty_database_url) as url:
        (found,) = findings(Settings(database_url=url))
        assert "unsupported startup parameter" in found.what
        assert found.remedy.startswith("Set CCS_TRANSACTION_POOLER=on")
        # The right setting lets it see what is behind the pooler.
        expecting = Settings(database_url=url, transaction_pooler="on")
        assert [each.what for each in findings(expecting)] == [
            f"The schema is missing, and not at {schema.CURRENT}."
        ]


def test_a_url_of_another_database_system_is_found() -> None:
    ((what, _),) = check("mysql://localhost/ccs")
    assert "postgresql://user:password@host:5432/database" in what


def test_a_missing_and_an_old_schema_are_found_and_migrating_helps(empty_database_url: str) -> None:
    assert [what for what, _ in check(empty_database_url)] == [
        f"The schema is missing, and not at {schema.CURRENT}."
    ]
    schema.migrate(empty_database_url, OLD_REVISION)
    (found,) = findings(Settings(database_url=empty_database_url))
    assert found.what == f"The schema is at {OLD_REVISION}, and not at {schema.CURRENT}."
    assert found.remedy == "Run 'ccs migrate'."
    schema.migrate(empty_database_url)
    assert check(empty_database_url) == []


def test_a_schema_of_a_later_release_is_found(own_url: str) -> None:
    execute(own_url, "UPDATE alembic_version SET version_num = '9999'")
    ((what, severity),) = check(own_url)
    assert "9999" in what
    assert severity is Severity.WARNING


def test_a_role_that_cannot_migrate_is_told_what_it_needs(empty_database_url: str) -> None:
    role = f"role_{token_hex(6)}"
    execute(empty_database_url, f"CREATE ROLE {role} LOGIN")
    url = make_url(empty_database_url).set(username=role)
    (found,) = findings(Settings(database_url=url.render_as_string(hide_password=False)))
    assert found.remedy.startswith("Make the role the owner of the database")


def test_a_read_only_database_is_found(own_url: str) -> None:
    execute(
        own_url,
        f'ALTER DATABASE "{make_url(own_url).database}" SET default_transaction_read_only = on',
    )
    ((what, severity),) = check(own_url)
    assert what == "The database accepts no writes: it is a standby, or read-only."
    assert severity is Severity.PROBLEM


def test_settings_that_lose_writes_are_found(own_url: str) -> None:
    (found,) = check_database(Settings(database_url=own_url))
    assert (found.what, found.severity) == (FSYNC, Severity.PROBLEM)
    execute(own_url, f'ALTER DATABASE "{make_url(own_url).database}" SET synchronous_commit = off')
    ((what, _),) = check(own_url)
    assert what == "These settings of PostgreSQL are off: fsync, synchronous_commit."


def test_another_encoding_is_found(cluster: Cluster) -> None:
    name = f"latin_{token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} ENCODING 'LATIN1' TEMPLATE template0").format(
        sql.Identifier(name)
    )
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(create)
    url = make_url(cluster.url).set(database=name).render_as_string(hide_password=False)
    assert "The encoding of the database is LATIN1." in [what for what, _ in check(url)]


@pytest.mark.parametrize(("seconds", "direction"), [(60, "ahead of"), (-60, "behind")])
def test_a_clock_that_differs_is_found(
    own_url: str, own_clock: Clock, seconds: int, direction: str
) -> None:
    own_clock.advance(seconds=seconds)
    ((what, severity),) = check(own_url)
    assert what.startswith("The database's clock is ")
    assert f" s {direction} that of this machine." in what
    assert severity is Severity.WARNING


def test_a_server_of_an_old_version_is_found(own_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No old server is at hand, so the newest one is taken for too old."""
    monkeypatch.setattr(databases, "OLDEST_VERSION", 99)
    ((what, _),) = check(own_url)
    assert what.startswith("The server is PostgreSQL 1")


def test_signing_keys_of_another_secret_key_are_found(own_url: str) -> None:
    keys = [(token_bytes(32),) for _ in range(2)]
    mine, other = (Settings(database_url=own_url, secret_key=key) for key in keys)
    database = Database(own_url, mine)
    load_signing_keys(database, mine.token_lifetime)
    database.release()
    assert findings(mine) == []
    (found,) = findings(other)
    assert "encrypted with a key that is not in CCS_SECRET_KEY" in found.what
    assert b64encode(keys[0][0]).decode() not in found.what


def test_an_embedded_database_is_checked_and_left_as_it_was(short_path: Path) -> None:
    settings = Settings(data_dir=short_path / "d")
    assert check_database(settings) == []
    assert not settings.data_dir.exists(), "only the service creates it"
    with EmbeddedPostgres(settings.data_dir) as embedded:
        # It runs, and its schema is missing, which `ccs serve` mends.
        assert check_database(settings) == []
        execute(embedded.url, "SELECT 1")
    # A broken one is found.
    (settings.data_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = on")
    (found,) = check_database(settings)
    assert "contains errors" in found.what
