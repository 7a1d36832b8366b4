"""Sessions: their TTLs, listing them in pages, and deleting them."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from ccs_server.domain.errors import TooLarge
from ccs_server.settings import Settings
from ccs_server.store import reading, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey

NAMESPACE = "sessions"


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


def _ids(database: Database, account: str, page: int, per_page: int) -> Any:
    return json.loads(
        sessions.list_session_ids(database, account, NAMESPACE, page=page, per_page=per_page)
    )


def _pages(database: Database, account: str, per_page: int, count: int) -> list[Any]:
    return [_ids(database, account, page, per_page) for page in range(count)]


def _save(database: Database, account: str, *ids: str) -> None:
    for id_ in ids:
        saving.save(database, DocumentKey(account, NAMESPACE, id_), b'{"a": 1, "b": 2}')


def test_pages_hold_every_session_once_in_order(database: Database, account: str) -> None:
    _save(database, account, "s3", "S1", "__default__", "s2", "é")
    assert _pages(database, account, 2, 4) == [["S1", "__default__"], ["s2", "s3"], ["é"], []]
    assert _ids(database, account, 0, 100) == ["S1", "__default__", "s2", "s3", "é"]
    assert _ids(database, f"{account}-other", 0, 100) == []


def test_pages_of_properties_and_of_ids_have_the_same_sessions(
    database: Database, account: str
) -> None:
    _save(database, account, "s1", "s2", "s3")
    page = json.loads(
        sessions.list_session_properties(database, account, NAMESPACE, page=1, per_page=2)
    )
    assert page == [{"sessionId": "s3", "property": {"a": 1, "b": 2}}]


def test_a_page_of_properties_that_is_too_large_is_refused(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _save(database, account, "s1", "s2")
    size = len('"a":1') + len('"b":2') + 2
    monkeypatch.setattr(sessions, "PAGE_LIMIT", 2 * size)
    sessions.list_session_properties(database, account, NAMESPACE, page=0, per_page=2)
    monkeypatch.setattr(sessions, "PAGE_LIMIT", 2 * size - 1)
    with pytest.raises(TooLarge, match="smaller perPage"):
        sessions.list_session_properties(database, account, NAMESPACE, page=0, per_page=2)
    sessions.list_session_properties(database, account, NAMESPACE, page=0, per_page=1)


@pytest.fixture
def limited(database_url: str) -> Iterator[Database]:
    """The store with a low limit on list entries."""
    database = Database(database_url, Settings(list_limit=2))
    yield database
    database.release()


def test_a_list_of_ttls_has_a_limit_and_its_pages_have_none(
    limited: Database, account: str
) -> None:
    for id_ in ("s1", "s2"):
        sessions.set_session_ttl(limited, DocumentKey(account, NAMESPACE, id_), 60)
    assert len(json.loads(sessions.list_session_ttls(limited, account, NAMESPACE))) == 2
    sessions.set_session_ttl(limited, DocumentKey(account, NAMESPACE, "s3"), 0)
    with pytest.raises(TooLarge, match="more than 2"):
        sessions.list_session_ttls(limited, account, NAMESPACE)
    listed = json.loads(
        sessions.list_session_ttls_page(limited, account, NAMESPACE, page=0, per_page=10)
    )
    assert [(each["sessionId"], each["ttlSecond"]) for each in listed] == [
        ("s1", 60), ("s2", 60), ("s3", 0),
    ]  # fmt: skip


def test_a_ttl_of_none_keeps_the_existing_ttl(database: Database, account: str) -> None:
    document = DocumentKey(account, NAMESPACE, "s1")
    sessions.set_session_ttl(database, document, 60)
    sessions.set_session_ttl(database, document, None)
    [session] = json.loads(sessions.list_session_ttls(database, account, NAMESPACE))
    assert session["ttlSecond"] == 60


def test_deleting_a_session_deletes_only_its_properties_and_its_ttl(
    database: Database, account: str
) -> None:
    _save(database, account, "s1", "s2")
    for id_ in ("s1", "s2"):
        sessions.set_session_ttl(database, DocumentKey(account, NAMESPACE, id_), 60)
    for _ in range(2):
        sessions.delete_session(database, DocumentKey(account, NAMESPACE, "s1"))
    assert _ids(database, account, 0, 100) == ["s2"]
    [left] = json.loads(sessions.list_session_ttls(database, account, NAMESPACE))
    assert left["sessionId"] == "s2"
    assert reading.read_all(database, DocumentKey(account, NAMESPACE, "s2")) != b"{}"
