"""Saving, where others are at the same namespace at the same moment."""

from secrets import token_hex

import pytest

from ccs_server.store import namespaces, reading, saving
from ccs_server.store.database import Database
from ccs_server.store.document import Document
from ccs_server.store.wire import Wire


def test_a_namespace_that_is_deleted_while_it_is_saved_into_is_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two statements of a save that found no namespace, others make one and delete it."""
    document = Document(f"test-{token_hex(6)}", "contested", "__default__")
    bring_into_being = namespaces.bring_into_being
    calls = 0

    def bring_while_others_delete(wire: Wire, document: Document, limit: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            namespaces.register_namespace(database, document.account, document.namespace, None)
            bring_into_being(wire, document, limit)
            namespaces.delete_namespace(database, document.account, document.namespace, "service")
        else:
            bring_into_being(wire, document, limit)

    monkeypatch.setattr(saving, "bring_into_being", bring_while_others_delete)
    saving.save(database, document, b'{"a": 1}')
    assert calls == 2
    assert reading.read_all(database, document) == b'{ "a" : 1 }'
