"""The settings of namespaces, and that they hold for every write that begins after they were changed."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest
from sqlalchemy import text

from ccs_server.domain.errors import LimitReached, Unavailable
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import (
    NamespaceSettings,
    change_settings,
    read_settings,
)
from ccs_server.store.namespaces import register_namespace
from ccs_server.store.saving import save
from tests.support.change_log import logged_events
from tests.support.waiting import wait_until


@pytest.fixture
def account() -> str:
    return f"settings-{token_hex(6)}"


def test_a_namespace_has_the_defaults(database: Database, account: str) -> None:
    assert read_settings(database, account, "ns") is None
    register_namespace(database, account, "ns", None)
    assert read_settings(database, account, "ns") == NamespaceSettings("off", 604_800)


def test_what_is_left_out_stays(database: Database, account: str) -> None:
    changed = change_settings(database, account, "ns", changes="values")
    assert changed == NamespaceSettings("values", 604_800)
    changed = change_settings(database, account, "ns", keep_changes=60)
    assert changed == read_settings(database, account, "ns") == NamespaceSettings("values", 60)
    assert change_settings(database, account, "ns") == changed
    assert change_settings(database, account, "ns", changes="off").keep_changes == 60


def test_settings_keep_the_ttl_and_a_deletion_ends_them(database: Database, account: str) -> None:
    register_namespace(database, account, "ns", 60)
    change_settings(database, account, "ns", changes="names")
    register_namespace(database, account, "ns", 70)
    assert read_settings(database, account, "ns") == NamespaceSettings("names", 604_800)


def test_the_limit_of_namespaces_holds(database_url: str, account: str) -> None:
    limited = Database(database_url, Settings(namespace_limit=1))
    change_settings(limited, account, "a", changes="names")
    with pytest.raises(LimitReached):
        change_settings(limited, account, "b", changes="names")
    limited.release()


def test_it_waits_for_writes_that_began_before(database: Database, account: str) -> None:
    document = DocumentKey(account, "ns", "s")
    save(database, document, b'{"before": 1}')
    with database.engine.connect() as writer, ThreadPoolExecutor(1) as pool:
        writer.execution_options(isolation_level="READ COMMITTED")
        transaction = writer.begin()
        writer.execute(
            text("UPDATE property SET size = size WHERE account = :account"), {"account": account}
        )
        changing = pool.submit(change_settings, database, account, "ns", changes="values")
        wait_until(lambda: read_settings(database, account, "ns") == NamespaceSettings("values"))
        # Others write meanwhile, and are logged.
        save(database, document, b'{"meanwhile": 1}')
        assert not changing.done()
        transaction.commit()
        assert changing.result(5).changes == "values"
    save(database, document, b'{"after": 1}')
    names = [event["name"] for event in logged_events(database, account)]
    assert names == ["meanwhile", "after"]


def test_a_write_that_takes_too_long_is_an_error(
    database: Database, database_url: str, account: str
) -> None:
    hasty = Database(database_url, Settings(statement_timeout=0.05))
    with database.engine.connect() as writer:
        writer.execution_options(isolation_level="READ COMMITTED")
        with writer.begin():
            writer.execute(text("DELETE FROM property WHERE account = 'nobody'"))
            with pytest.raises(Unavailable):
                change_settings(hasty, account, "ns", changes="values")
    assert change_settings(hasty, account, "ns", changes="values").changes == "values"
    hasty.release()
