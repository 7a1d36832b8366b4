"""Saving while other clients use the same namespace or document."""

import json
from collections.abc import Callable
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


Save = Callable[[Database, DocumentKey, str, bytes], None]
V2_SAVES: dict[str, Save] = {
    "v2": lambda database, document, name, value: saving.save_document(
        database, document, member(name, value), ttl=0, max_retention=60
    ),
    "v2 of one": partial(saving.save_document_one, ttl=0, max_retention=60),
}
SAVES: dict[str, Save] = {
    "v1": lambda database, document, name, value: saving.save(
        database, document, member(name, value)
    ),
    "v1 of one": saving.save_one,
    **V2_SAVES,
}
STORED = Statement.of(
    "test_stored",
    """SELECT name, value, size, expires_at, purge_at, updated_at IS NOT NULL
    FROM property WHERE account = $1 AND session_id = $2 ORDER BY name""",
)


def member(name: str, value: bytes) -> bytes:
    return encode({name: Raw(value)})


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("ttl", [None, 60])
def test_a_property_is_saved_alike_by_every_statement(
    database: Database, save: str, ttl: int | None
) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "ns", save)
    namespaces.register_namespace(database, document.account, "ns", ttl)
    values = {
        "a": b"1.10",
        'quote" and back\\slash': b'"\\" \\n \\u00e4"',
        "ä 日本 😀": '["ä 日本 😀",null]'.encode(),
    }
    for name, value in values.items():
        SAVES[save](database, document, name, value)
    stored = database.execute(STORED, document.account.encode(), save.encode())
    expires = ttl or save in V2_SAVES
    for row, (name, value) in enumerate(values.items()):
        columns = [stored.get_value(row, column) for column in range(stored.nfields)]
        size = len(member(name, value).decode()) - 1  # without braces, with a comma
        assert columns[:3] == [name.encode(), value, b"%d" % size]
        assert (columns[3] != b"infinity") == bool(expires)
        assert (columns[4] is not None) == bool(expires)
        assert columns[5] == b"t"


UNDER_THE_LOCK = {
    "v1": (saving._SAVE_LOCKED, (b'{"a": 1}',)),
    "v2": (saving.SAVE_DOCUMENT, (b'{"a": 1}', b"0", b"60")),
    "v2 of one": (saving.SAVE_DOCUMENT_ONE, (b"a", b"1", b"0", b"60")),
}


@pytest.mark.parametrize("version", UNDER_THE_LOCK)
def test_a_save_under_the_lock_does_not_take_it_again(database: Database, version: str) -> None:
    """While another session waits for a lock, PostgreSQL before 18 refuses it in another mode even to its holder."""
    statement, more = UNDER_THE_LOCK[version]
    document = DocumentKey(f"test-{token_hex(6)}", "waited_for", "__default__")
    namespaces.register_namespace(database, document.account, document.namespace, None)
    with ThreadPoolExecutor(1) as thread:
        with document_lock(database, document) as connection:
            other = thread.submit(deleting.delete_all, database, document)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            saved = connection.execute(statement, (*document.params(), *more))
            held = connection.execute(HELD)
            assert (saved.get_value(0, 0) == b"t") if version == "v1" else saved.command_tuples
            assert [held.get_value(row, 0) for row in range(held.ntuples)] == [b"ExclusiveLock"]
        other.result()
    assert reading.read_all(database, document) == b"{}"


@pytest.mark.parametrize("save", SAVES)
def test_concurrent_saves_into_a_new_namespace_all_succeed(database: Database, save: str) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "contested", "__default__")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: SAVES[save](database, document, f"p{n}", b"1"), range(16)))
    assert json.loads(reading.read_all(database, document)) == {f"p{n}": 1 for n in range(16)}


@pytest.mark.parametrize("save", V2_SAVES)
def test_a_v2_save_stamps_properties_saved_while_it_waited(database: Database, save: str) -> None:
    document = DocumentKey(f"test-{token_hex(6)}", "stamped", "__default__")
    saving.save(database, document, b'{"a": 1}')
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(saving.SAVE, (*document.params(), b'{"b": 1}'))
            other = thread.submit(V2_SAVES[save], database, document, "c", b"1")
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
        other.result()
    payload = reading.read_document(database, document)
    assert payload is not None
    assert json.loads(payload.properties) == {"a": 1, "b": 1, "c": 1}
    assert payload.ttl
