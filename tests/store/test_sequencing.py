"""The sequencer: one order for all readers, without gaps, and nothing that was not committed."""

import json
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from secrets import token_hex
from threading import Event

import pytest
from sqlalchemy import Connection, text

from ccs_server.store import deleting, saving
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.namespaces import delete_namespace
from ccs_server.store.operations.partial import Increment
from ccs_server.store.operations.run import run
from ccs_server.store.reading import read_all
from ccs_server.store.sequencing import BATCH, is_needed, sequence
from tests.support.change_log import logged_events, replay, told

SAVE_EVENT = """
    INSERT INTO change_new (account, namespace_id, ns, session_id, name, type, made_at, keep_seconds)
    SELECT account, id, name, 's', :name, 'property.deleted', now(), 60
    FROM namespace WHERE account = :account AND name = 'ns'
"""


@pytest.fixture
def database(own_database: Database) -> Database:
    """A database of its own: services of other tests have sequencers."""
    return own_database


@pytest.fixture
def document(database: Database) -> DocumentKey:
    """A session of a namespace that logs values."""
    document = DocumentKey(f"sequenced-{token_hex(6)}", "ns", "s")
    change_settings(database, document.account, "ns", changes="values")
    return document


@contextmanager
def uncommitted(database: Database) -> Iterator[Connection]:
    """A transaction, which commits at the end of the block."""
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            yield connection


def test_what_is_not_committed_is_not_in_the_log_and_leaves_no_gap(
    database: Database, document: DocumentKey
) -> None:
    given = {"account": document.account, "name": "slow"}
    with uncommitted(database) as connection:
        connection.execute(text(SAVE_EVENT), given)
        saving.save(database, document, b'{"fast": 1}')
        assert told(logged_events(database, document.account), "position", "name") == [(1, "fast")]
    assert told(logged_events(database, document.account), "position", "name") == [
        (1, "fast"),
        (2, "slow"),
    ]


def test_what_was_rolled_back_is_never_in_the_log(
    database: Database, document: DocumentKey
) -> None:
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")
        transaction = connection.begin()
        connection.execute(text(SAVE_EVENT), {"account": document.account, "name": "undone"})
        transaction.rollback()
    saving.save(database, document, b'{"a": 1}')
    assert told(logged_events(database, document.account), "position", "name") == [(1, "a")]


def test_a_deletion_comes_before_the_events_of_the_next_namespace_of_the_name(
    database: Database, document: DocumentKey
) -> None:
    account = document.account
    saving.save(database, document, b'{"a": 1}')
    delete_namespace(database, account, "ns", "service")
    change_settings(database, account, "ns", changes="values")
    saving.save(database, document, b'{"b": 2}')
    events = logged_events(database, account)
    assert told(events, "type", "name") == [
        ("set", "a"),
        ("namespace.deleted", None),
        ("set", "b"),
    ]
    assert replay(events) == {("ns", "s", "b"): "2"}


def test_a_save_that_is_seen_with_the_deletion_of_its_namespace_comes_before_it(
    database: Database, document: DocumentKey
) -> None:
    account = document.account
    late = {"account": account, "name": "late"}
    with uncommitted(database) as other, uncommitted(database) as deleter:
        deleter.execute(
            text(
                "INSERT INTO change_new (account, namespace_id, ns, session_id, name, type, made_at, keep_seconds)"
                " SELECT account, id, name, '', '', 'namespace.deleted', now(), 60 FROM namespace"
                " WHERE account = :account"
            ),
            late,
        )
        other.execute(text(SAVE_EVENT), late)
        deleter.execute(text("DELETE FROM namespace WHERE account = :account"), late)
    assert told(logged_events(database, account), "type", "name") == [
        ("deleted", "late"),
        ("namespace.deleted", None),
    ]


def test_a_save_that_ends_after_the_deletion_was_seen_is_not_told(
    database: Database, document: DocumentKey
) -> None:
    account = document.account
    with uncommitted(database) as connection:
        connection.execute(text(SAVE_EVENT), {"account": account, "name": "late"})
        delete_namespace(database, account, "ns", "service")
        assert told(logged_events(database, account), "type") == [("namespace.deleted",)]
    assert told(logged_events(database, account), "type") == [("namespace.deleted",)]


def test_a_backlog_is_moved_in_batches(database: Database, document: DocumentKey) -> None:
    with uncommitted(database) as connection:
        connection.execute(
            text(
                SAVE_EVENT.replace("FROM namespace", "FROM generate_series(1, :count), namespace")
            ),
            {"account": document.account, "name": "n", "count": 2 * BATCH + 1},
        )
    assert sequence(database) == 2 * BATCH + 1
    assert sequence(database) == 0
    positions = [event["position"] for event in logged_events(database, document.account)]
    assert positions == [*range(1, 2 * BATCH + 2)]


def test_it_is_needed_once_an_account_has_logged(own_database: Database) -> None:
    assert not is_needed(own_database)
    change_settings(own_database, "a", "ns", changes="off")
    assert not is_needed(own_database)
    change_settings(own_database, "a", "ns", changes="names")
    assert is_needed(own_database)


def write(database: Database, document: DocumentKey, seed: int) -> None:
    """Changes properties at random."""
    random = Random(seed)
    for number in range(60):
        place = document._replace(session_id=random.choice("st"))
        name = random.choice("abc")
        match random.randrange(5):
            case 0:
                deleting.delete_one(database, place, name)
            case 1:
                deleting.delete_all(database, place)
            case 2:
                run(database, Increment(document=place, name="n"))
            case 3:
                saving.save(database, place, json.dumps({name: number, "d": seed}).encode())
            case _:
                saving.save(database, place, b'{"%b": %d}' % (name.encode(), number))


@contextmanager
def sequencing(database: Database) -> Iterator[None]:
    """Two sequencers, at work for the length of the block."""
    is_over = Event()

    def work() -> None:
        while not is_over.is_set():
            sequence(database)

    with ThreadPoolExecutor(2) as sequencers:
        running = [sequencers.submit(work) for _ in range(2)]
        yield
        is_over.set()
        for each in running:
            each.result()


def test_writers_and_sequencers_at_once_make_one_dense_log_that_equals_the_table(
    database: Database, document: DocumentKey
) -> None:
    with sequencing(database), ThreadPoolExecutor(4) as writers:
        written = [writers.submit(write, database, document, seed) for seed in range(4)]
        for each in written:
            each.result()
    events = logged_events(database, document.account)
    assert [event["position"] for event in events] == [*range(1, len(events) + 1)]
    stored = {
        ("ns", session, name): json.dumps(value)
        for session in "st"
        for name, value in json.loads(
            read_all(database, document._replace(session_id=session))
        ).items()
    }
    assert replay(events) == stored
    sums: defaultdict[str, int] = defaultdict(int)
    for event in events:
        if event["name"] == "n":
            session = event["session"]
            sums[session] = sums[session] + 1 if event["type"] == "property.set" else 0
            assert event.get("value", 0) == sums[session], "an increment is missing or out of order"
