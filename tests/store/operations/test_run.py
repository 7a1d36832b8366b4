"""Executing operations: alone beside others, or under the exclusive locks of all their documents."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import msgspec
import pytest

from ccs_server.domain.errors import ContextError, LimitReached, PreconditionFailed, TooLarge
from ccs_server.domain.limits import MAX_ANSWER_CHARACTERS
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespaces import delete_namespace
from ccs_server.store.operations.base import Operation, Outcome
from ccs_server.store.operations.partial import Increment
from ccs_server.store.operations.reads import Get
from ccs_server.store.operations.run import run, run_atomic, run_each
from ccs_server.store.operations.writes import Delete, Set
from ccs_server.store.reading import read_all
from tests.support.waiting import wait_until

LOCK_SHARED = Statement.of(
    "test_run_lock_shared",
    "SELECT pg_advisory_xact_lock_shared(hashtextextended($1 || '/' || $2 || '/' || $3, 0))",
)
WAITING = Statement.of(
    "test_run_waiting",
    """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'""",
)


@pytest.fixture
def document() -> DocumentKey:
    return DocumentKey(f"run-{token_hex(6)}", "n", "s")


def allow(_: Operation) -> None:
    """Refuses nothing."""


def put(document: DocumentKey, **properties: Any) -> Set:
    return Set(document=document, properties=msgspec.json.encode(properties), count=len(properties))


def test_one_operation_does_not_wait_for_a_save(database: Database, document: DocumentKey) -> None:
    run(database, put(document, a=1))
    with database.transaction() as connection:
        connection.execute(LOCK_SHARED, document.params())
        assert run(database, Increment(document=document, name="a")) == {"value": msgspec.Raw(b"2")}


def test_a_batch_waits_for_saves_that_have_begun(database: Database, document: DocumentKey) -> None:
    batch = [put(document, a=1), Get(document=document)]
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(LOCK_SHARED, document.params())
            outcomes = thread.submit(run_atomic, database, batch, allow)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            assert read_all(database, document) == b"{}"
        assert outcomes.result()[0] == {}


def test_what_cannot_be_done_beside_a_batch_waits_for_it(
    database: Database, document: DocumentKey
) -> None:
    run(database, put(document, a=1))
    lock = Statement.of("test_run_lock", LOCK_SHARED.sql.decode().replace("_shared", ""))
    alone = [
        Increment(document=document, name="a"),
        put(document, b=1),
        Delete(document=document, name="b"),
    ]
    for operation in alone:
        with ThreadPoolExecutor(1) as thread:
            with database.transaction() as connection:
                connection.execute(lock, document.params())
                outcome = thread.submit(run, database, operation)
                wait_until(lambda: database.execute(WAITING).ntuples == 1)
            assert isinstance(outcome.result(), dict)
    assert msgspec.json.decode(read_all(database, document)) == {"a": 2}


def test_a_batch_begins_again_if_its_namespace_is_deleted_meanwhile(
    database: Database, document: DocumentKey
) -> None:
    """It waits for the deletion, whose namespace it had found."""
    run(database, put(document, old=1))
    delete = Statement.of(
        "test_run_delete", "DELETE FROM namespace WHERE account = $1 AND name = $2"
    )
    batch = [put(document, a=1), Get(document=document)]
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(delete, document.params()[:2])
            outcomes = thread.submit(run_atomic, database, batch, allow)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
        _, found = outcomes.result()
    assert isinstance(found, dict)
    assert msgspec.json.decode(msgspec.json.encode(found)) == {"values": {"a": 1}}


def test_a_namespace_is_not_deleted_under_a_batch(
    database: Database, document: DocumentKey
) -> None:
    other = document._replace(session_id="t")
    batch: list[Operation] = [put(document, a=1), put(other, a=1)]
    run_atomic(database, batch, allow)
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            hold = Statement.of(
                "test_run_hold",
                "SELECT FROM namespace WHERE account = $1 AND name = $2 FOR KEY SHARE",
            )
            connection.execute(hold, document.params()[:2])
            deletion = thread.submit(delete_namespace, database, *document[:2], "test")
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            outcomes = run_atomic(database, [Get(document=document), Get(document=other)], allow)
            assert all(outcome != {"values": msgspec.Raw(b"{}")} for outcome in outcomes)
        deletion.result()
    assert read_all(database, document) == read_all(database, other) == b"{}"


def test_the_limit_of_namespaces_holds_for_batches(
    database_url: str, document: DocumentKey
) -> None:
    database = Database(database_url, Settings(namespace_limit=2))
    others = [document._replace(namespace=f"n{number}") for number in range(3)]
    with pytest.raises(LimitReached) as refused:
        run_atomic(database, [put(other, a=1) for other in others], allow)
    assert refused.value.members["op"] == 0
    run_atomic(database, [put(other, a=1) for other in others[:2]], allow)
    run_atomic(database, [put(other, a=2) for other in [*others[:2], *others[:2]]], allow)
    with pytest.raises(LimitReached):
        run(database, put(others[2], a=1))
    database.release()


def test_an_operation_that_is_refused_before_any_takes_place_stops_all(
    database: Database, document: DocumentKey
) -> None:
    def refuse_deletions(operation: Operation) -> None:
        if isinstance(operation, Delete):
            raise PreconditionFailed("no")

    batch = [put(document, a=1), Delete(document=document)]
    with pytest.raises(PreconditionFailed) as refused:
        run_atomic(database, batch, refuse_deletions)
    assert refused.value.members["op"] == 1
    assert read_all(database, document) == b"{}"
    done: list[Outcome] = run_each(database, batch, refuse_deletions)
    assert done[0] == {}
    assert isinstance(done[1], ContextError)


def test_more_reads_than_are_sent_at_once_have_their_results_in_order(
    database: Database, document: DocumentKey
) -> None:
    run(database, put(document, **{f"p{number}": number for number in range(30)}))
    reads = [Get(document=document, name=f"p{number}") for number in range(30)]
    expected = [{"value": msgspec.Raw(b"%d" % number)} for number in range(30)]
    assert run_atomic(database, reads, allow) == expected
    mixed: list[Operation] = [*reads[:15], put(document, p20=0), *reads[15:]]
    outcomes = run_atomic(database, mixed, allow)
    assert outcomes[:15] == expected[:15]
    assert outcomes[21] == {"value": msgspec.Raw(b"0")}


def test_a_change_is_never_reported_as_refused_because_the_reads_before_it_fill_the_answer(
    database: Database, document: DocumentKey
) -> None:
    read = Get(document=document, name="long")
    run(database, put(document, long="x" * (MAX_ANSWER_CHARACTERS // 10 - len('{"value":""}'))))
    *read_ten, saved, read_more = run_each(
        database,
        [*[read] * 10, Increment(document=document._replace(session_id="s2"), name="n"), read],
        allow,
    )
    assert not any(isinstance(outcome, ContextError) for outcome in read_ten)
    assert saved == {"value": msgspec.Raw(b"1")}
    assert isinstance(read_more, TooLarge)
