"""A fenced write and a grant of the lease exclude each other, whichever begins first."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest

from ccs_server.domain.conditions import ANY, Conditions
from ccs_server.domain.errors import Leased, PreconditionFailed
from ccs_server.store import reading, saving
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.base import KEEP_TTL, Operation, Outcome, unfenced
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.partial import APPEND, INCREMENT, MERGE, Append, Increment, Merge
from ccs_server.store.operations.run import run, run_atomic
from ccs_server.store.operations.writes import SAVE_FULL, SWAP, Delete, Set, Touch
from tests.support.waiting import wait_until

WAITING = Statement.of(
    "test_fences_waiting",
    """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'""",
)
# What a grant does when the lease has just expired.
GRANT_TO_ANOTHER = Statement.of(
    "test_grant_to_another", "UPDATE lease SET fence = fence + 1 WHERE account = $1"
)
RENEW = Statement.of(
    "test_renew",
    "UPDATE lease SET expires_at = expires_at + interval '1 minute' WHERE account = $1",
)
EXPIRE = Statement.of("test_expire_lease", "UPDATE lease SET expires_at = now() WHERE account = $1")
TAKE_SHARE = Statement.of("test_take_share", "SELECT FROM lease WHERE account = $1 FOR SHARE")

BEFORE = {"list": [1], "number": 1, "object": {"a": 1}}

Make = Callable[[DocumentKey, int], Operation]


def _set(document: DocumentKey, fence: int, **more: Any) -> Set:
    return Set(
        document=document, name="number", properties=b'{"number":2}', count=1, fence=fence, **more
    )


WRITES: dict[str, Make] = {
    "set": _set,
    "set with TTL": lambda d, fence: _set(d, fence, ttl=60),
    "set that keeps the TTL": lambda d, fence: _set(d, fence, ttl=KEEP_TTL),
    "swap": lambda d, fence: _set(d, fence, conditions=Conditions(if_match=ANY)),
    "delete": lambda d, fence: Delete(document=d, name="number", fence=fence),
    "delete of some": lambda d, fence: Delete(document=d, names=("number", "list"), fence=fence),
    "delete of all": lambda d, fence: Delete(document=d, fence=fence),
    "touch": lambda d, fence: Touch(document=d, name="number", ttl=60, fence=fence),
    "touch of all": lambda d, fence: Touch(document=d, ttl=60, fence=fence),
    "incr": lambda d, fence: Increment(document=d, name="number", fence=fence),
    "append": lambda d, fence: Append(document=d, name="list", values=b"[2]", fence=fence),
    "merge": lambda d, fence: Merge(document=d, name="object", patch=b'{"b":2}', fence=fence),
}


@pytest.fixture
def document(database: Database) -> DocumentKey:
    document = DocumentKey(f"fence-{token_hex(6)}", "n", "s")
    saving.save(database, document, json.dumps(BEFORE).encode())
    return document


def test_a_statement_for_requests_without_a_fence_knows_no_leases(
    database: Database, document: DocumentKey
) -> None:
    for statement in (SAVE_FULL, SWAP, INCREMENT, APPEND, MERGE):
        assert b"lease" in statement.sql
        assert b"lease" not in unfenced(statement).sql
    add = *document.params(), b"number", b"1", None
    assert database.execute(unfenced(INCREMENT), *add, None, b"f").ntuples == 1
    assert database.execute(unfenced(INCREMENT), *add, b"1", b"f").ntuples == 0


@pytest.fixture
def fence(database: Database, document: DocumentKey) -> int:
    """The fence of a lease of the session."""
    outcome = run(database, Lease(document=document, owner="me", seconds=60))
    assert isinstance(outcome, dict)
    fence = outcome["fence"]
    assert isinstance(fence, int)
    return fence


def _content(database: Database, document: DocumentKey) -> Any:
    described, _ = reading.read_described(database, document, None)
    return json.loads(described)


def _wait_until_it_waits(database: Database) -> None:
    wait_until(lambda: database.execute(WAITING).ntuples > 0)


def _run_beside(
    database: Database, document: DocumentKey, statement: Statement, operation: Operation
) -> Future[Outcome]:
    """Executes the operation while a transaction has executed the statement, which commits when it waits for it."""
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as transaction:
            transaction.execute(statement, (document.account.encode(),))
            running = pool.submit(run, database, operation)
            _wait_until_it_waits(database)
        return running


@pytest.mark.parametrize("make", WRITES.values(), ids=WRITES)
def test_a_write_that_waits_for_a_grant_is_refused(
    database: Database, document: DocumentKey, fence: int, make: Make
) -> None:
    _, described = reading.read_described(database, document, None)
    running = _run_beside(database, document, GRANT_TO_ANOTHER, make(document, fence))
    assert isinstance(running.exception(), PreconditionFailed)
    assert reading.read_described(database, document, None)[1] == described


@pytest.mark.parametrize("make", WRITES.values(), ids=WRITES)
def test_a_write_that_waits_for_a_renewal_takes_place(
    database: Database, document: DocumentKey, fence: int, make: Make
) -> None:
    _, described = reading.read_described(database, document, None)
    _run_beside(database, document, RENEW, make(document, fence)).result()
    assert reading.read_described(database, document, None)[1] != described


@pytest.mark.parametrize("make", WRITES.values(), ids=WRITES)
def test_a_write_of_a_batch_that_waits_for_a_grant_rolls_the_batch_back(
    database: Database, document: DocumentKey, fence: int, make: Make
) -> None:
    other = document._replace(session_id="other")
    batch = [Increment(document=other, name="n"), make(document, fence)]
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as transaction:
            transaction.execute(GRANT_TO_ANOTHER, (document.account.encode(),))
            running = pool.submit(run_atomic, database, batch, lambda _: None)
            _wait_until_it_waits(database)
        with pytest.raises(PreconditionFailed) as refused:
            running.result()
    assert refused.value.members == {"op": 1}
    assert _content(database, document) == BEFORE
    assert _content(database, other) == {}


def test_a_grant_waits_for_a_fenced_write_that_has_begun(
    database: Database, document: DocumentKey, fence: int
) -> None:
    """Otherwise the write, which began before the lease expired, could take place after the grant."""
    database.execute(EXPIRE, document.account.encode())
    lease = Lease(document=document, owner="you", seconds=60)
    granted = _run_beside(database, document, TAKE_SHARE, lease).result()
    assert isinstance(granted, dict)
    assert int(str(granted["fence"])) > fence


def test_of_several_grants_at_once_all_but_one_are_refused(
    database: Database, document: DocumentKey, fence: int
) -> None:
    database.execute(EXPIRE, document.account.encode())
    leases = [Lease(document=document, owner=f"{number}", seconds=60) for number in range(4)]

    def take(lease: Lease) -> int | None:
        try:
            outcome = run(database, lease)
        except Leased:
            return None
        assert isinstance(outcome, dict)
        return int(str(outcome["fence"]))

    with ThreadPoolExecutor(4) as pool:
        granted = [fence_ for fence_ in pool.map(take, leases) if fence_]
    assert len(granted) == 1
    assert granted[0] > fence
