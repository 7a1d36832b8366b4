"""Deleting: what is deleted, what is kept, and that deleting nothing is not an error."""

import json
from secrets import token_hex
from typing import Any

import pytest

from ccs_server.store import deleting, reading, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey

ALL = b'{"a": 1, "b": 2, "c": 3}'


@pytest.fixture
def document(database: Database) -> DocumentKey:
    document = DocumentKey(f"test-{token_hex(6)}", "deleted", "s1")
    saving.save(database, document, ALL)
    return document


@pytest.fixture
def neighbours(database: Database, document: DocumentKey) -> list[DocumentKey]:
    """Other documents, which must not change."""
    documents = [
        document._replace(session_id="__default__"),
        document._replace(namespace="other"),
        document._replace(account=f"test-{token_hex(6)}"),
    ]
    for neighbour in documents:
        saving.save(database, neighbour, ALL)
    return documents


def _all(database: Database, document: DocumentKey) -> Any:
    return json.loads(reading.read_all(database, document))


def test_each_function_deletes_its_part_and_nothing_else(
    database: Database, document: DocumentKey, neighbours: list[DocumentKey]
) -> None:
    deleting.delete_one(database, document, "a")
    assert _all(database, document) == {"b": 2, "c": 3}
    deleting.delete_some(database, document, ["c", "a", "x"])
    assert _all(database, document) == {"b": 2}
    deleting.delete_all(database, document)
    assert _all(database, document) == {}
    for neighbour in neighbours:
        assert _all(database, neighbour) == json.loads(ALL)


def test_deleting_an_absent_property_is_not_an_error(
    database: Database, document: DocumentKey
) -> None:
    for absent in (document, document._replace(namespace="never")):
        for _ in range(2):
            deleting.delete_one(database, absent, "x")
            deleting.delete_some(database, absent, [])
            deleting.delete_some(database, absent, ["x"])
    assert _all(database, document) == json.loads(ALL)


def test_the_time_to_live_outlasts_the_properties(
    database: Database, document: DocumentKey
) -> None:
    sessions.set_session_ttl(database, document, 60)
    deleting.delete_all(database, document)
    [session] = json.loads(
        sessions.list_session_ttls(database, document.account, document.namespace)
    )
    assert (session["sessionId"], session["ttlSecond"]) == ("s1", 60)
