"""Access to PostgreSQL: every wait times out, broken connections are replaced, and errors are mapped."""

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from time import monotonic, sleep

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ccs_server.domain.errors import BUSY, InvalidInput, Unavailable
from ccs_server.settings import Pooler, SettingError, Settings
from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.database import Database
from ccs_server.store.faults import (
    NOT_MIGRATED,
    NOT_STORABLE,
    READ_ONLY,
    TIMED_OUT,
    UNREACHABLE,
    StoreFault,
    fault_from_sqlstate,
)
from ccs_server.store.tables import namespace
from tests.support.clock import SEARCH_PATH
from tests.support.databases import with_options
from tests.support.proxy import proxied
from tests.support.waiting import wait_until

BACKEND = Statement.of("test_backend", "SELECT pg_backend_pid()")
SLEEP = Statement.of("test_sleep", "SELECT pg_sleep(30)")
ECHO = Statement.of("test_echo", "SELECT $1::text")
AS_JSON = Statement.of("test_json", "SELECT $1::json")
PREPARED = Statement.of("test_prepared", "SELECT FROM pg_prepared_statements")
SETTING = Statement.of("test_setting", "SELECT current_setting($1)")
INSERT = Statement.of("test_insert", "INSERT INTO namespace (account, name) VALUES ('test', $1)")
LOCK = Statement.of("test_lock", "SELECT pg_advisory_xact_lock(1)")
WAITING = Statement.of(
    "test_waiting",
    """SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
)
COUNT = Statement.of(
    "test_namespaces", "SELECT FROM namespace WHERE account = 'test' AND name = $1"
)

# The maximum duration of a statement, plus a margin for a busy machine.
PATIENCE_SECONDS = 0.3
GRACE_SECONDS = 3.0


@pytest.fixture
def impatient(database_url: str) -> Iterator[Database]:
    database = Database(database_url, Settings(statement_timeout=PATIENCE_SECONDS))
    yield database
    database.release()


def backend(database: Database) -> int:
    return int(database.execute(BACKEND).get_value(0, 0) or b"")


def works(database: Database) -> bool:
    try:
        return backend(database) > 0
    except Unavailable:
        return False


def test_a_connection_that_the_server_has_closed_is_replaced_without_an_error(
    database: Database,
) -> None:
    old = backend(database)
    with database.engine.connect() as other:
        assert other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": old}).scalar()
    # A connection that was used a moment ago is not checked.
    sleep(0.02)
    assert backend(database) != old


def test_a_connection_that_breaks_under_a_statement_is_replaced_by_the_next(
    database_url: str,
) -> None:
    database = Database(database_url, Settings())
    with ThreadPoolExecutor(1) as thread:
        pid = thread.submit(backend, database).result()
        asleep = thread.submit(database.execute, SLEEP)
        with database.engine.connect() as other:
            waits = text("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = :pid")
            wait_until(lambda: bool(other.execute(waits, {"pid": pid}).scalar()))
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(Unavailable, match=UNREACHABLE):
            asleep.result()
        assert thread.submit(backend, database).result() != pid
        thread.submit(database.release).result()


def test_a_connection_that_breaks_at_its_first_statement_is_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest fails a test that leaves a socket open."""
    database.release()
    before = database.usage()
    ending = Statement.of("test_ending", "SELECT pg_terminate_backend(pg_backend_pid())")
    monkeypatch.setattr("ccs_server.store.database._PLAN_FOR_CITUS", ending)
    with pytest.raises(Unavailable, match=UNREACHABLE):
        database.execute(BACKEND)
    gc.collect()
    after = database.usage()
    assert (after.used, after.idle, after.opened) == (before.used, 0, before.opened)
    assert after.failed == before.failed + 1
    monkeypatch.undo()
    assert database.execute(BACKEND).ntuples == 1


def test_a_connection_that_breaks_at_the_first_statement_of_sqlalchemy_is_closed(
    database_url: str,
) -> None:
    """SQLAlchemy asks the first connection for the server's version, before anything of ours is sent."""
    with proxied(database_url) as proxy:
        database = Database(proxy.url, Settings())
        proxy.fatal = b"pg_catalog.version()"
        with pytest.raises(Unavailable, match=UNREACHABLE):
            database.execute(BACKEND)
        gc.collect()
        assert database.usage() == (0, 0, 0, 1)
        proxy.fatal = None
        assert backend(database)
        database.release()


def test_a_slow_statement_times_out_and_its_connection_stays_usable(impatient: Database) -> None:
    begin = monotonic()
    with pytest.raises(Unavailable, match=TIMED_OUT):
        impatient.execute(SLEEP)
    assert monotonic() - begin < PATIENCE_SECONDS + GRACE_SECONDS
    assert impatient.execute(ECHO, b"awake").get_value(0, 0) == b"awake"


@pytest.mark.parametrize("words", [b"anybody there?", b"x" * 20_000_000], ids=["short", "long"])
def test_waiting_for_a_frozen_server_times_out(impatient: Database, words: bytes) -> None:
    """A long text cannot even be sent, since the server has stopped reading."""
    frozen = backend(impatient)
    os.kill(frozen, signal.SIGSTOP)
    try:
        begin = monotonic()
        with pytest.raises(Unavailable, match=TIMED_OUT):
            impatient.execute(ECHO, words)
        assert monotonic() - begin < PATIENCE_SECONDS + GRACE_SECONDS
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert backend(impatient) != frozen


@pytest.mark.parametrize("withheld", [1, 6, 7, 20], ids=lambda count: f"{count} bytes short")
def test_a_result_that_stops_in_the_middle_times_out(database_url: str, withheld: int) -> None:
    """The last 6 bytes are the message ReadyForQuery, which follows the whole result."""
    with proxied(database_url) as proxy:
        database = Database(proxy.url, Settings(statement_timeout=PATIENCE_SECONDS))
        backend(database)
        proxy.withheld = withheld
        begin = monotonic()
        with pytest.raises(Unavailable, match=TIMED_OUT):
            backend(database)
        assert monotonic() - begin < PATIENCE_SECONDS + GRACE_SECONDS
        proxy.withheld = 0
        assert backend(database)
        database.release()


def test_a_missing_server_is_unavailable_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    with pytest.raises(Unavailable, match=UNREACHABLE):
        database.execute(BACKEND)


def test_connecting_to_a_silent_server_times_out() -> None:
    settings = Settings(connect_timeout=2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", settings)
        begin = monotonic()
        with pytest.raises(Unavailable, match=UNREACHABLE):
            database.execute(BACKEND)
        assert monotonic() - begin < settings.connect_timeout + GRACE_SECONDS


def test_too_many_connections_is_a_temporary_error(database: Database, database_url: str) -> None:
    role = f"few_{token_hex(4)}"
    with database.engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1"))
    url = with_options(database_url, {"user": role})
    first, second = Database(url, Settings()), Database(url, Settings())
    first.execute(BACKEND)
    assert not works(second)
    first.release()
    wait_until(lambda: works(second))  # its server process takes a moment to end
    second.release()


def test_a_read_only_database_is_unavailable(database_url: str) -> None:
    options = f"{SEARCH_PATH} -c default_transaction_read_only=on"
    database = Database(with_options(database_url, {"options": options}), Settings())
    with pytest.raises(Unavailable, match=READ_ONLY):
        database.execute(INSERT, b"read-only")
    database.release()


def test_options_in_the_url_are_kept(impatient: Database) -> None:
    def setting(name: str) -> bytes | None:
        return impatient.execute(SETTING, name.encode()).get_value(0, 0)

    assert setting("search_path") == b"test_clock,public,pg_catalog"
    assert setting("statement_timeout") == b"300ms"
    assert setting("plan_cache_mode") == b"force_generic_plan"


@pytest.mark.parametrize("pooler", ["off", "on", "prepared"])
def test_behind_a_transaction_pooler_nothing_is_prepared_unless_it_keeps_prepared_statements(
    database_url: str, pooler: Pooler
) -> None:
    database = Database(database_url, Settings(transaction_pooler=pooler))
    database.execute(ECHO, b"1")
    assert (database.execute(PREPARED).ntuples == 0) is (pooler == "on")
    database.release()


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    def insert(name: bytes, then: Callable[[LibpqConnection], object]) -> None:
        with database.transaction() as connection:
            connection.execute(INSERT, [name])
            then(connection)

    def stored(name: bytes) -> bool:
        return database.execute(COUNT, name).ntuples == 1

    insert(b"committed", lambda _: None)
    assert stored(b"committed")
    with pytest.raises(InvalidInput):
        insert(b"refused", lambda connection: connection.execute(AS_JSON, [b"{"]))
    assert not stored(b"refused")
    with pytest.raises(ZeroDivisionError):
        insert(b"failed", lambda _: 1 / 0)
    assert not stored(b"failed")


@pytest.mark.parametrize("pooler", ["off", "on"])
def test_a_pipeline_is_all_or_nothing_and_returns_its_results(
    database_url: str, pooler: Pooler
) -> None:
    database = Database(database_url, Settings(transaction_pooler=pooler))
    names = [token_hex(6).encode() for _ in range(2)]
    insert, refused = (INSERT, [names[0]]), (AS_JSON, [b"{"])
    with pytest.raises(InvalidInput):
        database.pipeline(insert, refused, (INSERT, [names[1]]))
    with pytest.raises(InvalidInput):
        database.pipeline(refused, insert)
    assert not any(database.execute(COUNT, name).ntuples for name in names)
    process = backend(database)
    inserted, echoed = database.pipeline(insert, (ECHO, [b"last"]))
    assert (inserted.command_tuples, echoed.get_value(0, 0)) == (1, b"last")
    assert database.execute(COUNT, names[0]).ntuples == 1
    assert backend(database) == process, "the connection stayed usable"
    database.release()


def test_the_statements_of_a_pipeline_see_what_was_committed_before_each(
    database: Database,
) -> None:
    name = token_hex(6).encode()
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(LOCK)
            connection.execute(INSERT, [name])
            found = thread.submit(database.pipeline, (LOCK, ()), (COUNT, [name]))
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
        assert found.result()[-1].ntuples == 1


@pytest.mark.parametrize("words", [b"anybody there?", b"x" * 20_000_000], ids=["short", "long"])
def test_a_pipeline_on_a_frozen_server_times_out(impatient: Database, words: bytes) -> None:
    frozen = backend(impatient)
    os.kill(frozen, signal.SIGSTOP)
    try:
        begin = monotonic()
        with pytest.raises(Unavailable, match=TIMED_OUT):
            impatient.pipeline((ECHO, [words]), (ECHO, [words]))
        assert monotonic() - begin < PATIENCE_SECONDS + GRACE_SECONDS
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert backend(impatient) != frozen


def test_a_long_pipeline_whose_results_are_long_too_is_read_while_it_is_sent(
    database: Database,
) -> None:
    """Otherwise each side would wait for the other to read."""
    words = b"x" * 20_000_000
    results = database.pipeline((ECHO, [words]), (ECHO, [words]))
    assert [result.get_value(0, 0) for result in results] == [words, words]


def test_a_pipeline_whose_connection_breaks_is_unavailable(database: Database) -> None:
    with ThreadPoolExecutor(1) as thread:
        asleep = thread.submit(database.pipeline, (SLEEP, ()), (BACKEND, ()))
        sleeper = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        with database.engine.connect() as other:
            wait_until(lambda: other.execute(text(sleeper)).first() is not None)
            other.execute(text(f"SELECT pg_terminate_backend(({sleeper}))"))
        with pytest.raises(Unavailable, match=UNREACHABLE):
            asleep.result()


def test_a_transaction_of_sqlalchemy_core_is_all_or_nothing(database: Database) -> None:
    def insert(name: str, then: str) -> None:
        with database.begin() as connection:
            connection.execute(sqlalchemy.insert(namespace).values(account="test", name=name))
            connection.execute(text(then))

    insert("core committed", "SELECT 1")
    assert database.execute(COUNT, b"core committed").ntuples == 1
    with pytest.raises(StoreFault) as caught:
        insert("core failed", "SELECT 1 / 0")
    assert caught.value.sqlstate == "22012"
    assert database.execute(COUNT, b"core failed").ntuples == 0


def test_an_error_of_sqlalchemy_core_shows_no_parameter(database: Database) -> None:
    with database.engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text("SELECT CAST(:secret AS text), 1 / 0"), {"secret": "letmein"})
    assert "letmein" not in str(caught.value)


def test_a_transaction_of_sqlalchemy_core_on_a_frozen_server_times_out(
    impatient: Database,
) -> None:
    def freeze() -> None:
        with impatient.begin() as connection:
            frozen = connection.scalar(text("SELECT pg_backend_pid()"))
            os.kill(frozen, signal.SIGSTOP)
            try:
                connection.execute(text("SELECT 1"))
            finally:
                os.kill(frozen, signal.SIGCONT)

    begin = monotonic()
    with pytest.raises(Unavailable, match=TIMED_OUT):
        freeze()
    assert monotonic() - begin < PATIENCE_SECONDS + GRACE_SECONDS


def test_a_missing_server_is_unavailable_for_sqlalchemy_core_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    with pytest.raises(Unavailable, match=UNREACHABLE), database.begin():
        pass


@pytest.mark.parametrize(
    ("sqlstate", "sentence"),
    [
        ("08006", UNREACHABLE),
        ("57P01", UNREACHABLE),
        ("57P03", UNREACHABLE),
        ("53300", BUSY),
        ("40P01", BUSY),
        ("57014", TIMED_OUT),
        ("25006", READ_ONLY),
        ("42P01", NOT_MIGRATED),
    ],
)
def test_a_temporary_error_is_unavailable(sqlstate: str, sentence: str) -> None:
    fault = fault_from_sqlstate(sqlstate, "what PostgreSQL says")
    assert isinstance(fault, Unavailable)
    assert (fault.message, fault.retry_after) == (sentence, 1)


@pytest.mark.parametrize("sqlstate", ["22P02", "22P05", "22021"])
def test_a_value_that_cannot_be_stored_is_invalid_input(sqlstate: str) -> None:
    fault = fault_from_sqlstate(sqlstate, "what PostgreSQL says")
    assert isinstance(fault, InvalidInput)
    assert fault.message == NOT_STORABLE


def test_any_other_error_is_a_store_fault(database: Database) -> None:
    with pytest.raises(StoreFault) as caught:
        database.execute(Statement.of("test_division", "SELECT 1 / 0"))
    assert caught.value.sqlstate == "22012"
    assert backend(database)


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:hidden@h/d", "postgresql://u:hidden@h:x/d"])
def test_an_invalid_database_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingError, match="CCS_DATABASE_URL must be like") as caught:
        Database(url, Settings())
    assert "hidden" not in str(caught.value)
