"""Deleting properties. What is not there is fine: deleting it again changes nothing."""

from collections.abc import Collection

import msgspec

from ccs_server.store.database import Database
from ccs_server.store.document import PROPERTIES, Document, alone
from ccs_server.store.wire import Statement

_DELETE = f"DELETE {PROPERTIES}"

DELETE_ALL = Statement.of("delete_all", _DELETE)

_DELETE_ONE = Statement.of("delete_one", f"{_DELETE} AND p.name = $4")

_DELETE_SOME = Statement.of(
    "delete_some",
    f"{_DELETE} AND p.name = ANY (ARRAY(SELECT json_array_elements_text($4)))",
)


def delete_one(database: Database, document: Document, name: str) -> None:
    """Deletes one property."""
    database.execute(_DELETE_ONE, *document.params(), name.encode())


def delete_some(database: Database, document: Document, names: Collection[str]) -> None:
    """Deletes the named properties, all at once."""
    with alone(database, document) as wire:
        wire.execute(_DELETE_SOME, (*document.params(), msgspec.json.encode(names)))


def delete_all(database: Database, document: Document) -> None:
    """Deletes all properties of the document; the TTL stays."""
    with alone(database, document) as wire:
        wire.execute(DELETE_ALL, document.params())
