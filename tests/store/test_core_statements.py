"""Statements of SQLAlchemy Core are told of like prepared ones: name, time, and the kind of the error."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import StatementError

from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.core_statements import name_of
from ccs_server.store.credentials import create_key, list_keys
from ccs_server.store.database import Database
from ccs_server.store.faults import StoreFault
from ccs_server.store.tables import quota
from tests.support.proxy import proxied

Seen = list[tuple[str, float, float, str | None]]


@contextmanager
def observed(url: str) -> Iterator[tuple[Database, Seen]]:
    """The database, and the statements that it has sent: name, when they began and ended, error."""
    seen: Seen = []

    def observe(names: Sequence[bytes], began: float, error: str | None) -> None:
        [name] = names
        seen.append((name.decode(), began, monotonic(), error))

    database = Database(url, Settings(statement_timeout=0.2), observe=observe)
    # A new connection asks whether the database has Citus.
    with database.begin():
        pass
    seen.clear()
    yield database, seen
    database.release()


def test_each_statement_of_a_transaction_is_named_and_timed(database_url: str) -> None:
    account = f"core-{os.urandom(4).hex()}"
    with observed(database_url) as (database, seen):
        made = create_key(database, account)
        assert [name for name, *_ in seen] == ["begin", "insert_api_key", "insert_audit", "commit"]
        times = [time for _, began, ended, _ in seen for time in (began, ended)]
        assert times == sorted(times)
        assert {error for *_, error in seen} == {None}
        seen.clear()
        [key] = list_keys(database, account)
        assert [name for name, *_ in seen] == ["begin", "select_api_key", "commit"]
    assert key.name == made.key_id


def test_a_failure_has_the_kind_of_the_error_that_it_becomes(database_url: str) -> None:
    with observed(database_url) as (database, seen):
        with pytest.raises(StoreFault), database.begin() as connection:
            connection.execute(text("SELECT 1 / 0 FROM namespace"))
        assert (seen[1][0], seen[1][3]) == ("select_namespace", "StoreFault")
        with pytest.raises(Unavailable), database.begin() as connection:
            connection.execute(select(func.pg_sleep(30)))
        assert [(name, error) for name, _, _, error in seen[-2:]] == [
            ("begin", None),
            ("select", "Unavailable"),
        ]
        assert seen[-1][2] - seen[-1][1] >= 0.2


def test_a_connection_that_ends_is_unavailable(database_url: str) -> None:
    with proxied(database_url) as proxy, observed(proxy.url) as (database, seen):
        proxy.fatal = b"FROM quota"
        with pytest.raises(Unavailable), database.begin() as connection:
            connection.execute(select(quota))
        assert [(name, error) for name, _, _, error in seen] == [
            ("begin", None),
            ("select_quota", "Unavailable"),
        ]


def test_what_cannot_be_sent_is_no_statement(database_url: str) -> None:
    with observed(database_url) as (database, seen):
        with pytest.raises(StatementError), database.begin() as connection:
            connection.execute(text("SELECT :missing"))
        assert [name for name, *_ in seen] == ["begin"]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT job.id, job.state \nFROM job \nWHERE job.account = %(a)s FOR UPDATE", b"select_job"),
        ("SELECT count(*) AS n \nFROM (SELECT 1 \nFROM webhook) AS anon_1", b"select_webhook"),
        ("INSERT INTO webhook_secret (account) VALUES (%(a)s)", b"insert_webhook_secret"),
        ("UPDATE api_key SET expires_at=now()", b"update_api_key"),
        ("DELETE FROM quota WHERE quota.account = %(a)s", b"delete_quota"),
        ("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE", b"lock_signing_key"),
        ("SELECT pg_advisory_xact_lock(1)", b"select"),
    ],
)  # fmt: skip
def test_a_statement_is_named_after_what_it_does_to_which_table(sql: str, name: bytes) -> None:
    assert name_of(sql) == name
