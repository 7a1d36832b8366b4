"""Saving while other clients use the same namespace or document."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from secrets import token_hex

import pytest
from msgspec import Raw
from msgspec.json import encode

from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.store import deleting, namespaces, reading, saving
from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey, document_lock
from tests.support.waiting import wait_until

WAITING = Statement.of(
    "test_saving_waiting",
    """SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
)
HELD = Statement.of(
    "test_held",
    "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()",
)


def test_a_namespace_that_is_deleted_during_a_save_is_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client creates and deletes the namespace between the two statements of the save."""
    document = DocumentKey(f"test-{token_hex(6)}", "contested", "__default__")
    ensure_namespace = namespaces.ensure_namespace
    calls = 0

    def ensure_and_delete_concurrently(
        connection: LibpqConnection, account: str, namespace: str, limit: int
    ) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            namespaces.register_namespace(database, account, namespace, None)
            ensure_namespace(connection, account, namespace, limit)
            namespaces.delete_namespace(database, account, namespace, "service")
        else:
            ensure_namespace(connection, account, namespace, limit)

    monkeypatch.setattr(saving, "ensure_namespace", ensure_and_delete_concurrently)
    saving.save(database, document, b'{"a": 1}')
    assert calls == 2
    assert reading.read_all(database, document) == b'{ "a" : 1 }'


def test_a_save_fails_if_the_namespace_is_deleted_at_each_attempt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "hopeless", "__default__")
    monkeypatch.setattr(saving, "ensure_namespace", lambda *_: None)
    with pytest.raises(Unavailable, match=BUSY):
        saving.save(database, document, b'{"a": 1}')
    with pytest.raises(Unavailable, match=BUSY):
        saving.save_document(database, document, b'{"a": 1}', ttl=0, max_retention=60)


STORED = Statement.of(
    "test_stored",
    """SELECT value, size, expires_at, purge_at, updated_at IS NOT NULL
    FROM property WHERE account = $1 AND session_id = $2 ORDER BY name""",
)


@pytest.mark.parametrize("ttl", [None, 60])
def test_one_property_is_saved_as_in_an_object(database: Database, ttl: int | None) -> None:
    account = f"test-{token_hex(6)}"
    alone, together = (DocumentKey(account, "ns", session) for session in ("alone", "together"))
    namespaces.register_namespace(database, account, "ns", ttl)
    values = {
        "a": b"1.10",
        'quote" and back\\slash': b'"\\" \\n \\u00e4"',
        "ä 日本 😀": '["ä 日本 😀",null]'.encode(),
    }
    for name, value in values.items():
        saving.save_one(database, alone, name, value)
    saving.save(database, together, encode({name: Raw(value) for name, value in values.items()}))
    assert reading.read_all(database, alone) == reading.read_all(database, together)
    for session in ("alone", "together"):
        stored = database.execute(STORED, account.encode(), session.encode())
        for row, (name, value) in enumerate(values.items()):
            assert stored.get_value(row, 1) == b"%d" % len(encode({name: Raw(value)}).decode()[:-1])
            has_expiry = stored.get_value(row, 2) != b"infinity"
            assert has_expiry == bool(ttl)
            assert stored.get_value(row, 3) == (stored.get_value(row, 2) if ttl else None)


SAVES = {
    "v1": (saving._SAVE_LOCKED, ()),
    "v2": (saving.SAVE_DOCUMENT, (b"0", b"60")),
}


@pytest.mark.parametrize("version", SAVES)
def test_a_save_under_the_lock_does_not_take_it_again(database: Database, version: str) -> None:
    """While another session waits for a lock, PostgreSQL before 18 refuses it in another mode even to its holder."""
    statement, more = SAVES[version]
    document = DocumentKey(f"test-{token_hex(6)}", "waited_for", "__default__")
    namespaces.register_namespace(database, document.account, document.namespace, None)
    with ThreadPoolExecutor(1) as thread:
        with document_lock(database, document) as connection:
            other = thread.submit(deleting.delete_all, database, document)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            saved = connection.execute(statement, (*document.params(), b'{"a": 1}', *more))
            held = connection.execute(HELD)
            assert (saved.get_value(0, 0) == b"t") if version == "v1" else saved.command_tuples
            assert [held.get_value(row, 0) for row in range(held.ntuples)] == [b"ExclusiveLock"]
        other.result()
    assert reading.read_all(database, document) == b"{}"


@pytest.mark.parametrize("version", SAVES)
def test_concurrent_saves_into_a_new_namespace_all_succeed(
    database: Database, version: str
) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "contested", "__default__")

    def save(number: int) -> None:
        properties = b'{"p%d": 1}' % number
        if version == "v1":
            saving.save(database, document, properties)
        else:
            saving.save_document(database, document, properties, ttl=0, max_retention=60)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(save, range(16)))
    assert json.loads(reading.read_all(database, document)) == {f"p{n}": 1 for n in range(16)}


def test_a_v2_save_stamps_properties_saved_while_it_waited(database: Database) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "stamped", "__default__")
    saving.save(database, document, b'{"a": 1}')
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(saving.SAVE, (*document.params(), b'{"b": 1}'))
            save = partial(saving.save_document, ttl=60, max_retention=60)
            other = thread.submit(save, database, document, b'{"c": 1}')
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
        other.result()
    payload = reading.read_document(database, document)
    assert payload is not None
    assert json.loads(payload.properties) == {"a": 1, "b": 1, "c": 1}
    assert payload.ttl
