"""What has expired while an operation waited for a lock is gone for it too, as readers have already seen.

These tests wait for the real time to pass. The movable clock would not do: it moves within a transaction, while the
time of a transaction that waits stands still.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest
from msgspec.json import encode

from ccs_server.domain.conditions import ANY, Conditions, etag_of, read_tags
from ccs_server.domain.errors import PreconditionFailed
from ccs_server.store import reading, saving
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey, document_lock
from ccs_server.store.operations.base import KEEP_TTL, Operation, Outcome
from ccs_server.store.operations.leases import Lease
from ccs_server.store.operations.partial import Append, Increment, Merge
from ccs_server.store.operations.reads import Get
from ccs_server.store.operations.run import run, run_atomic
from ccs_server.store.operations.writes import Set, Touch
from tests.support.waiting import wait_until

WAITING = Statement.of(
    "test_expiry_waiting",
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
)
EXPIRE_SOON = Statement.of(
    "test_expire_soon",
    "UPDATE property SET expires_at = clock_timestamp() + interval '0.1 s' WHERE account = $1",
)
EXPIRES_IN = 0.1
UPDATE_ROW = Statement.of("test_update_row", "UPDATE property SET size = size WHERE account = $1")

Attempt = Callable[[Database, DocumentKey], Any]
Locked = Callable[[Database, DocumentKey], AbstractContextManager[None]]


@pytest.fixture
def document(database: Database) -> DocumentKey:
    """A document whose property `old` expires in a moment."""
    document = DocumentKey(f"test-{token_hex(6)}", "waited", "s1")
    saving.save(database, document, b'{"old": [1]}')
    return document


def operating(make: Callable[[DocumentKey], Operation]) -> Attempt:
    return lambda database, document: run(database, make(document))


def in_a_batch(make: Callable[[DocumentKey], Operation]) -> Attempt:
    """The operation, and one on another session."""

    def attempt(database: Database, document: DocumentKey) -> list[Outcome]:
        other = _set(document._replace(session_id="s2"), "other", b"1")
        return run_atomic(database, [make(document), other], lambda _: None)

    return attempt


def _set(document: DocumentKey, name: str, value: bytes, **more: Any) -> Set:
    properties = b'{"%s": %s}' % (name.encode(), value)
    return Set(document=document, name=name, properties=properties, count=1, **more)


def _save_v2(database: Database, document: DocumentKey) -> None:
    saving.save_document(database, document, b'{"new": 1}', ttl=100, max_retention=1000)


def _stamp_v2(database: Database, document: DocumentKey) -> None:
    saving.save_document(database, document, b"{}", ttl=100, max_retention=1000)


OPERATIONS: dict[str, tuple[Callable[[DocumentKey], Operation], Any]] = {
    "touch": (lambda d: Touch(document=d, name="old", ttl=100), {}),
    "touch of all": (lambda d: Touch(document=d, ttl=100), {}),
    "append": (lambda d: Append(document=d, name="old", values=b"[2]"), {"old": [2]}),
    "merge": (lambda d: Merge(document=d, name="old", patch=b'{"a":2}'), {"old": {"a": 2}}),
    "incr": (lambda d: Increment(document=d, name="old", by="2"), {"old": 2}),
    "create": (
        lambda d: _set(d, "old", b"2", conditions=Conditions(if_none_match=ANY)),
        {"old": 2},
    ),
    "set that keeps the TTL": (lambda d: _set(d, "old", b"2", ttl=KEEP_TTL), {"old": 2}),
}
ATTEMPTS: dict[str, tuple[Attempt, Any]] = {
    "v2 save": (_save_v2, {"new": 1}),
    "v2 save of nothing": (_stamp_v2, {}),
    "incr in a batch": (in_a_batch(OPERATIONS["incr"][0]), {"old": 2}),
} | {name: (operating(make), found) for name, (make, found) in OPERATIONS.items()}
# An operation on the whole document excludes all others from its rows.
ON_A_ROW = {name: OPERATIONS[name] for name in OPERATIONS if name != "touch of all"}


@contextmanager
def document_locked(database: Database, document: DocumentKey) -> Iterator[None]:
    """Holds the lock of the document for the length of the block."""
    with document_lock(database, document):
        yield


@contextmanager
def row_locked(database: Database, document: DocumentKey) -> Iterator[None]:
    """Holds the lock of the row of `old` for the length of the block, as another save does."""
    with database.transaction() as transaction:
        transaction.execute(UPDATE_ROW, (document.account.encode(),))
        yield


def attempt_while_it_expires(
    attempt: Attempt, locked: Locked, database: Database, document: DocumentKey
) -> Any:
    """Makes `attempt` wait for a lock while `old` expires. Returns its result."""
    with ThreadPoolExecutor(1) as pool:
        database.execute(EXPIRE_SOON, document.account.encode())
        with locked(database, document):
            attempted = pool.submit(attempt, database, document)
            wait_until(lambda: database.execute(WAITING).get_value(0, 0) != b"0")
            wait_until(lambda: reading.read_all(database, document) == reading.NOTHING)
        return attempted.result()


@pytest.mark.parametrize(("attempt", "found"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_has_expired_stays_gone_for_an_operation_that_waited_for_the_document(
    database: Database, document: DocumentKey, attempt: Attempt, found: Any
) -> None:
    attempt_while_it_expires(attempt, document_locked, database, document)
    assert json.loads(reading.read_all(database, document)) == found


@pytest.mark.parametrize(("make", "found"), ON_A_ROW.values(), ids=ON_A_ROW)
def test_what_has_expired_stays_gone_for_an_operation_that_waited_for_its_row(
    database: Database,
    document: DocumentKey,
    make: Callable[[DocumentKey], Operation],
    found: Any,
) -> None:
    attempt_while_it_expires(operating(make), row_locked, database, document)
    assert json.loads(reading.read_all(database, document)) == found


@pytest.mark.parametrize("locked", [document_locked, row_locked])
def test_a_condition_does_not_hold_of_what_expired_meanwhile(
    database: Database, document: DocumentKey, locked: Locked
) -> None:
    swap = operating(
        lambda d: _set(d, "old", b"2", conditions=Conditions(read_tags(etag_of(b"[1]"), "")))
    )
    with pytest.raises(PreconditionFailed) as refused:
        attempt_while_it_expires(swap, locked, database, document)
    assert refused.value.members == {"current": None}
    assert reading.read_all(database, document) == reading.NOTHING


def test_a_batch_does_not_read_what_expired_meanwhile(
    database: Database, document: DocumentKey
) -> None:
    def read_and_save(database: Database, document: DocumentKey) -> list[Outcome]:
        operations = [Get(document=document), _set(document, "new", b"1")]
        return run_atomic(database, operations, lambda _: None)

    read, _ = attempt_while_it_expires(read_and_save, document_locked, database, document)
    assert json.loads(encode(read)) == {"values": {}}


@pytest.mark.parametrize("attempt_as", [operating, in_a_batch])
def test_a_time_to_live_begins_when_the_wait_has_ended(
    database: Database,
    document: DocumentKey,
    attempt_as: Callable[[Callable[[DocumentKey], Operation]], Attempt],
) -> None:
    """Otherwise a short one could be over before the save is acknowledged."""
    save = attempt_as(lambda d: _set(d, "new", b"1", ttl=100))
    began = datetime.now(UTC)
    attempt_while_it_expires(save, document_locked, database, document)
    saved = reading.read_one_described(database, document, "new")
    assert saved
    assert saved.expires_at
    assert datetime.fromisoformat(saved.expires_at) > began + timedelta(
        seconds=100 + EXPIRES_IN / 2
    )


def test_a_lease_begins_when_the_wait_has_ended(database: Database, document: DocumentKey) -> None:
    grant = in_a_batch(lambda d: Lease(document=d, owner="me", seconds=1))
    began = datetime.now(UTC)
    granted, _ = attempt_while_it_expires(grant, document_locked, database, document)
    expires_at = datetime.fromisoformat(granted["expiresAt"])
    assert expires_at > began + timedelta(seconds=1 + EXPIRES_IN / 2)
