"""Reading: what each function returns for a document, an empty document, and one with expired properties."""

import json
from secrets import token_hex

import pytest

from ccs_server.store import namespaces, reading, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from tests.support.clock import Clock


@pytest.fixture
def document() -> DocumentKey:
    return DocumentKey(f"test-{token_hex(6)}", "read", "s1")


def test_an_empty_document_is_an_empty_object_or_none(
    database: Database, document: DocumentKey
) -> None:
    assert reading.read_all(database, document) == b"{}"
    assert reading.read_some(database, document, ["a"]) == b"{}"
    assert reading.read_filtered(database, document, ["a"]) == b"{}"
    assert reading.read_one(database, document, "a") is None
    assert reading.read_document(database, document) is None


def test_each_function_reads_its_part(database: Database, document: DocumentKey) -> None:
    saving.save(database, document, b'{"a": 1, "b.c": null, "d": [1.10]}')
    assert json.loads(reading.read_all(database, document)) == {"a": 1, "b.c": None, "d": [1.1]}
    assert json.loads(reading.read_some(database, document, ["d", "a", "x"])) == {
        "a": 1, "d": [1.1],
    }  # fmt: skip
    assert json.loads(reading.read_filtered(database, document, ["b.c", "x"])) == {"read.b.c": None}
    assert reading.read_one(database, document, "b.c") == b"null"
    assert reading.read_one(database, document, "x") is None


def test_a_document_belongs_to_one_account_namespace_and_session(
    database: Database, document: DocumentKey
) -> None:
    saving.save(database, document, b'{"a": 1}')
    for other in (
        document._replace(account=f"test-{token_hex(6)}"),
        document._replace(namespace="other"),
        document._replace(session_id="s2"),
        document._replace(session_id="__default__"),
    ):
        assert reading.read_all(database, other) == b"{}"


def test_no_function_reads_an_expired_property(
    database: Database, document: DocumentKey, clock: Clock
) -> None:
    sessions.set_session_ttl(database, document, 60)
    saving.save(database, document, b'{"short": 1}')
    clock.advance(seconds=30)
    saving.save(database, document, b'{"long": 2}')
    clock.advance(seconds=30)
    assert json.loads(reading.read_all(database, document)) == {"long": 2}
    assert reading.read_one(database, document, "short") is None
    assert reading.read_some(database, document, ["short"]) == b"{}"
    clock.advance(seconds=30)
    assert reading.read_document(database, document) is None


def test_a_document_expires_with_its_last_property_or_never(
    database: Database, document: DocumentKey
) -> None:
    namespaces.register_namespace(database, document.account, document.namespace, 60)
    saving.save(database, document, b'{"a": 1}')
    payload = reading.read_document(database, document)
    assert payload
    assert payload.ttl
    assert payload.ttl.endswith(b"Z")
    namespaces.register_namespace(database, document.account, document.namespace, 0)
    saving.save(database, document, b'{"b": 2}')
    payload = reading.read_document(database, document)
    assert payload
    assert payload.ttl is None
