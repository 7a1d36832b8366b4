"""The purge: what it deletes, what it keeps, that it does not wait for locks, and what it costs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from ccs_server.store import purge as purging
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import register_namespace
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.run import run
from ccs_server.store.purge import FIND_EXPIRED, PURGE_EXPIRED, purge
from ccs_server.store.reading import read_all
from ccs_server.store.saving import save
from ccs_server.store.sequencing import sequence
from tests.store.test_plans import nodes, plan_of
from tests.support.change_log import logged_events
from tests.support.clock import Clock
from tests.support.waiting import wait_until

FILL = """
    INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
    SELECT :account, :namespace, 's', 'p' || n, '1', 1, expires_at, expires_at
    FROM (SELECT now() + make_interval(secs => :seconds) AS expires_at) AS place,
        generate_series(1, :count) AS n
"""


NAME = "a"


@pytest.fixture
def connection(own_database: Database) -> Iterator[Connection]:
    """A connection for SQL in tests; each statement commits."""
    with own_database.engine.connect() as connection:
        yield connection


def fill(
    connection: Connection, account: str, *, namespace: int = 1, seconds: float, count: int
) -> None:
    connection.execute(
        text(FILL),
        {"account": account, "namespace": namespace, "seconds": seconds, "count": count},
    )


def stored(connection: Connection, account: str, table: str = "property") -> int:
    count = text(f"SELECT count(*) FROM {table} WHERE account = :account")  # noqa: S608
    return int(connection.execute(count, {"account": account}).scalar_one())


def test_it_deletes_expired_properties_and_nothing_else(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    fill(connection, NAME, namespace=1, seconds=600, count=25)
    fill(connection, NAME, namespace=2, seconds=1200, count=3)
    connection.execute(
        text(
            "INSERT INTO property (account, namespace_id, session_id, name, value, size)"
            " VALUES (:account, 3, 's', 'forever', '1', 1)"
        ),
        {"account": NAME},
    )
    own_clock.advance(seconds=300)
    purge(own_database)
    assert stored(connection, NAME) == 29, "no property has expired yet"
    own_clock.advance(seconds=400)
    assert purge(own_database, batch=10).properties == 25
    assert stored(connection, NAME) == 4
    own_clock.advance(seconds=1e9)
    assert purge(own_database).properties == 3
    assert stored(connection, NAME) == 1


def test_it_skips_locked_rows_without_waiting(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    fill(connection, NAME, seconds=1, count=5)
    own_clock.advance(seconds=2)
    with own_database.engine.connect() as other:
        other.execution_options(isolation_level="READ COMMITTED")
        with other.begin():
            other.execute(
                text(
                    "UPDATE property SET expires_at = now() + interval '1 day'"
                    " WHERE account = :account AND name = 'p3'"
                ),
                {"account": NAME},
            )
            assert purge(own_database).properties == 4
    assert stored(connection, NAME) == 1, "properties that were written again are kept"
    assert purge(own_database).properties == 0


def test_a_row_that_was_saved_again_is_postponed_until_it_expires(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    register_namespace(own_database, NAME, "ns", 600)
    document = DocumentKey(NAME, "ns", "s")
    save(own_database, document, b'{"a": 1, "b": 1}')
    own_clock.advance(seconds=400)
    save(own_database, document, b'{"a": 2}')
    own_clock.advance(seconds=250)
    assert purge(own_database).properties == 1
    assert read_all(own_database, document) == b'{ "a" : 2 }'
    own_clock.advance(seconds=250)
    assert purge(own_database).properties == 0
    own_clock.advance(seconds=200)
    assert purge(own_database).properties == 1
    assert stored(connection, NAME) == 0


def test_a_batch_of_postponed_rows_does_not_end_the_purge(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    fill(connection, NAME, seconds=1, count=30)
    connection.execute(text("UPDATE property SET expires_at = now() + interval '1 day'"))
    fill(connection, NAME, namespace=2, seconds=2, count=5)
    own_clock.advance(seconds=3)
    assert purge(own_database, batch=10).properties == 5


def test_a_row_saved_with_a_shorter_ttl_is_purged_when_that_ends(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    document = DocumentKey(NAME, "ns", "s")
    for ttl in (0, 3600, 60):
        register_namespace(own_database, NAME, "ns", ttl)
        save(own_database, document, b'{"a": 1}')
    own_clock.advance(seconds=61)
    assert purge(own_database).properties == 1
    assert stored(connection, NAME) == 0


def test_a_row_that_no_longer_expires_is_not_examined_again(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    document = DocumentKey(NAME, "ns", "s")
    for ttl in (60, 0):
        register_namespace(own_database, NAME, "ns", ttl)
        save(own_database, document, b'{"a": 1}')
    own_clock.advance(seconds=61)
    assert purge(own_database).properties == 0
    assert connection.execute(text("SELECT purge_at FROM property")).scalar_one() is None


@pytest.mark.parametrize(("seconds", "left"), [(1, 0), (1e6, 1)])
def test_it_examines_rows_that_an_older_release_has_saved(
    own_database: Database, connection: Connection, own_clock: Clock, seconds: float, left: int
) -> None:
    """An older release does not know `purge_at`, so the column has a default."""
    connection.execute(
        text(
            "INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at)"
            " VALUES (:account, 3, 's', 'p', '1', 1, now() + make_interval(secs => :seconds))"
        ),
        {"account": NAME, "seconds": seconds},
    )
    own_clock.advance(seconds=2)
    purge(own_database)
    assert stored(connection, NAME) == left
    own_clock.advance(seconds=1e6)
    purge(own_database)
    assert stored(connection, NAME) == 0


def test_a_save_that_postpones_the_expiry_updates_no_index(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    register_namespace(own_database, NAME, "ns", 60)
    for _ in range(3):
        save(own_database, DocumentKey(NAME, "ns", "s"), b'{"a": 1, "b": 1}')
        own_clock.advance(seconds=10)
    # A connection reports its statistics when it ends.
    own_database.release()
    updates = text(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'property'"
    )
    wait_until(lambda: connection.execute(updates).one() == (4, 4))


def test_two_concurrent_purges_share_the_work(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    fill(connection, NAME, seconds=1, count=2000)
    own_clock.advance(seconds=2)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(purge, own_database, batch=50) for _ in range(2)]
    # Each may have skipped the other's last batch. No row is counted twice.
    left = stored(connection, NAME)
    assert sum(run.result().properties for run in runs) + left == 2000
    assert left <= 100
    assert purge(own_database).properties == left


def test_it_pauses_after_each_batch_and_stops_when_asked_to(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    """It may be asked to stop during a pause, which is long if the database is slow."""
    fill(connection, NAME, seconds=1, count=30)
    own_clock.advance(seconds=2)
    rests: list[float] = []

    def wait(seconds: float) -> bool:
        rests.append(seconds)
        return len(rests) > 2

    purged = purge(own_database, batch=10, wait=wait)
    assert purged.properties == 20
    assert rests[0] == 0
    assert min(rests[1:3]) > 0


def test_it_empties_deleted_namespaces_and_forgets_them_once_no_writer_can_be_left(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    fill(connection, NAME, namespace=7, seconds=1e6, count=25)
    fill(connection, NAME, namespace=8, seconds=1e6, count=1)
    params = {"account": NAME}
    connection.execute(
        text("INSERT INTO deleted_namespace (account, namespace_id) VALUES (:account, 7)"), params
    )
    for session in ("s", "t"):
        connection.execute(
            text(
                "INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)"
                " VALUES (:account, 7, :session, 60)"
            ),
            params | {"session": session},
        )
    assert purge(own_database, batch=10) == (25, 2, 0, 0, 0, 0, 0, 0, 0, 0)
    assert stored(connection, NAME) == 1, "the other namespace keeps its property"
    assert stored(connection, NAME, "deleted_namespace") == 1

    # A writer that found the namespace before it was deleted commits now.
    fill(connection, NAME, namespace=7, seconds=1e6, count=1)
    own_clock.advance(seconds=601)
    assert purge(own_database) == (1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    assert stored(connection, NAME, "deleted_namespace") == 0
    assert stored(connection, NAME) == 1


def test_its_cost_depends_on_expired_rows_and_not_on_stored_rows(
    connection: Connection,
) -> None:
    fill(connection, NAME, namespace=1, seconds=1e6, count=20_000)
    fill(connection, NAME, namespace=2, seconds=-1, count=10)
    connection.execute(
        text("UPDATE property SET expires_at = 'infinity', purge_at = NULL WHERE name < 'p5'")
    )
    connection.execute(text("ANALYZE property"))
    connection.execute(text("SET enable_seqscan = on"))
    sql = FIND_EXPIRED.sql.decode().replace("$1", "1000")
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
    (explained,) = plan.scalar_one()
    shown = str(explained)
    assert "'Index Name': 'ix_property_purge_at'" in shown
    assert "Seq Scan" not in shown
    root = explained["Plan"]
    assert root["Shared Hit Blocks"] + root["Shared Read Blocks"] < 200, (
        "20,000 rows take 200 pages"
    )


PURGING = [statement for statement in vars(purging).values() if isinstance(statement, Statement)]


@pytest.mark.parametrize("statement", PURGING, ids=lambda statement: statement.name.decode())
def test_it_never_reads_all_of_an_account_even_if_nothing_is_known_about_the_table(
    own_database: Database, statement: Statement
) -> None:
    """A plan that was made for an empty table is used until the table is analyzed."""
    for node in nodes(plan_of(own_database, statement)):
        condition = node.get("Index Cond", "")
        if node.get("Relation Name") in {"property", "session_ttl", "lease", "audit"}:
            is_narrow = "namespace_id = " in condition or "_at <" in condition
            assert is_narrow or node["Node Type"] in {"Tid Scan", "ModifyTable"}, node


def test_a_row_that_has_taken_the_place_of_an_expired_one_is_kept(
    own_database: Database, connection: Connection
) -> None:
    fill(connection, NAME, namespace=1, seconds=-1, count=1)
    place = connection.execute(text("SELECT ctid::text FROM property")).scalar_one()
    connection.execute(text("DELETE FROM property"))
    connection.execute(text("VACUUM property"))
    fill(connection, NAME, namespace=1, seconds=60, count=1)
    assert connection.execute(text("SELECT ctid::text FROM property")).scalar_one() == place
    own_database.execute(PURGE_EXPIRED, NAME.encode(), f'{{"{place}"}}'.encode())
    assert stored(connection, NAME) == 1


def test_a_lease_is_kept_for_a_day_after_its_end_however_often_it_was_renewed(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    register_namespace(own_database, NAME, "n", None)
    document = DocumentKey(NAME, "n", "s")
    taken = run(own_database, Lease(document=document, owner="bot", seconds=60))
    assert isinstance(taken, dict)
    own_clock.advance(seconds=50)
    fence = taken["fence"]
    assert isinstance(fence, int)
    run(own_database, Lease(document=document, owner="bot", seconds=3600, fence=fence))
    own_clock.advance(seconds=86_400 + 60)
    assert purge(own_database).leases == 0
    own_clock.advance(seconds=3600)
    assert purge(own_database).leases == 1
    assert stored(connection, NAME, "lease") == 0


def test_a_stored_response_is_deleted_after_a_day(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    insert = text(
        "INSERT INTO idempotent_response (account, credential, key_hash, request_hash, status, body, created_at)"
        " VALUES (:account, 'key', '', '', 200, '{}', now())"
    )
    connection.execute(insert, {"account": NAME})
    own_clock.advance(seconds=86_000)
    assert purge(own_database).responses == 0
    own_clock.advance(seconds=1000)
    assert purge(own_database).responses == 1
    assert stored(connection, NAME, "idempotent_response") == 0


def test_it_forgets_changes_that_were_kept_long_enough(
    own_database: Database, connection: Connection, own_clock: Clock
) -> None:
    change_settings(own_database, NAME, "brief", changes="values", keep_changes=60)
    change_settings(own_database, NAME, "long", changes="values", keep_changes=3600)
    for namespace in ("long", "brief"):
        save(own_database, DocumentKey(NAME, namespace, "s"), b'{"a": 1}')
        sequence(own_database)
    change_settings(own_database, NAME, "brief", keep_changes=3600)
    own_clock.advance(seconds=59)
    assert purge(own_database).changes == 0
    own_clock.advance(seconds=2)
    assert purge(own_database).changes == 1
    assert [event["ns"] for event in logged_events(own_database, NAME)] == ["long"]
    own_clock.advance(seconds=3600)
    assert purge(own_database).changes == 1
    floors = connection.execute(text("SELECT ns, pos FROM change_floor ORDER BY ns"))
    assert [tuple(row) for row in floors] == [("brief", 2), ("long", 1)]
