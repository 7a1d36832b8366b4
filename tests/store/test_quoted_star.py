"""The entity tag `"*"`, in quotes, is a tag like others, which no property has. It is not the condition `*`."""

from secrets import token_hex

import pytest

from ccs_server.domain.conditions import Conditions, read_tags
from ccs_server.domain.errors import PreconditionFailed
from ccs_server.store import reading, saving
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.run import run
from ccs_server.store.operations.writes import Set

TAGS = read_tags('"*"', "If-Match")


@pytest.fixture
def document(database: Database) -> DocumentKey:
    document = DocumentKey(f"test-{token_hex(6)}", "ns", "s1")
    saving.save(database, document, b'{"a":1}')
    return document


def _save(database: Database, document: DocumentKey, conditions: Conditions) -> bytes | None:
    properties = b'{"a":2}'
    run(
        database,
        Set(document=document, name="a", properties=properties, count=1, conditions=conditions),
    )
    return reading.read_one(database, document, "a")


def test_it_matches_no_property(database: Database, document: DocumentKey) -> None:
    with pytest.raises(PreconditionFailed):
        _save(database, document, Conditions(if_match=TAGS))
    assert reading.read_one(database, document, "a") == b"1"


def test_it_excludes_no_property(database: Database, document: DocumentKey) -> None:
    assert _save(database, document, Conditions(if_none_match=TAGS)) == b"2"
