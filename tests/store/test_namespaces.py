"""Namespaces: how they are created, how many an account may have, and what is deleted with them."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from ccs_server.domain.errors import LimitReached
from ccs_server.settings import Settings
from ccs_server.store import namespaces, reading, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey

LIMIT = 2


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


@pytest.fixture
def limited(database_url: str) -> Iterator[Database]:
    """The store with a low limit on namespaces."""
    database = Database(database_url, Settings(namespace_limit=LIMIT))
    yield database
    database.release()


def _ttls(database: Database, account: str) -> dict[str, Any]:
    listed = json.loads(namespaces.list_namespaces(database, account))
    return {namespace["name"]: namespace.get("ttlSecond") for namespace in listed}


def test_a_ttl_is_set_only_where_one_is_given(database: Database, account: str) -> None:
    namespaces.register_namespace(database, account, "b", None)
    namespaces.register_namespace(database, account, "a", 60)
    namespaces.register_namespace(database, account, "a", None)
    assert _ttls(database, account) == {"a": 60, "b": None}
    assert list(_ttls(database, account)) == ["a", "b"]
    namespaces.register_namespace(database, account, "a", 0)
    assert _ttls(database, account) == {"a": None, "b": None}


def test_a_save_into_a_new_namespace_makes_it(database: Database, account: str) -> None:
    saving.save(database, DocumentKey(account, "made", "s1"), b'{"a": 1}')
    assert _ttls(database, account) == {"made": None}


def test_over_the_limit_no_namespace_is_made_and_nothing_is_saved(
    limited: Database, account: str
) -> None:
    for name in ("a", "b"):
        namespaces.register_namespace(limited, account, name, None)
    document = DocumentKey(account, "c", "__default__")
    with pytest.raises(LimitReached, match="2 namespaces"):
        namespaces.register_namespace(limited, account, "c", 60)
    with pytest.raises(LimitReached):
        saving.save(limited, document, b'{"a": 1}')
    with pytest.raises(LimitReached):
        sessions.set_session_ttl(limited, document._replace(session_id="s1"), 60)
    assert _ttls(limited, account) == {"a": None, "b": None}
    # Existing namespaces can still be used, and another can be created after one is deleted.
    namespaces.register_namespace(limited, account, "a", 60)
    saving.save(limited, document._replace(namespace="b"), b'{"a": 1}')
    namespaces.delete_namespace(limited, account, "a", "service")
    saving.save(limited, document, b'{"a": 1}')
    assert _ttls(limited, account) == {"b": None, "c": None}


def test_a_deleted_namespace_is_empty_when_it_is_made_again(
    database: Database, account: str
) -> None:
    document = DocumentKey(account, "gone", "s1")
    namespaces.register_namespace(database, account, "gone", 60)
    sessions.set_session_ttl(database, document, 60)
    saving.save(database, document, b'{"a": 1}')
    for _ in range(2):
        namespaces.delete_namespace(database, account, "gone", "service")
    assert _ttls(database, account) == {}
    namespaces.register_namespace(database, account, "gone", None)
    assert reading.read_all(database, document) == b"{}"
    assert sessions.list_session_ttls(database, account, "gone") == b"[]"
    assert _ttls(database, account) == {"gone": None}
