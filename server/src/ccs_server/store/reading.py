"""Reads properties. PostgreSQL assembles the JSON, and its bytes become the body of the response.

For this reason some statements contain names of the API (`createdAt`, `namespace.name`); docs/architecture.md explains
the trade-off.
"""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey

NOTHING = b"{}"

READ_ALL = Statement.of(
    "read_all",
    """
    SELECT json_object_agg(p.name, p.value)
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
    """,
)

READ_ONE = Statement.of(
    "read_one",
    """
    SELECT p.value
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
        AND p.name = $4
    """,
)

_READ_SOME = Statement.of(
    "read_some",
    """
    SELECT json_object_agg(p.name, p.value)
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
        AND p.name = ANY (ARRAY(SELECT json_array_elements_text($4)))
    """,
)

_READ_FILTERED = Statement.of(
    "read_filtered",
    """
    SELECT json_object_agg($2 || '.' || p.name, p.value)
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
        AND p.name = ANY (ARRAY(SELECT json_array_elements_text($4)))
    """,
)

READ_DOCUMENT = Statement.of(
    "read_document",
    """
    SELECT json_object_agg(p.name, p.value),
        to_char(nullif(max(p.expires_at), 'infinity') AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
    """,
)


class Payload(NamedTuple):
    """The properties of a document as a JSON object, and when the last one expires (UTC; None if one never does)."""

    properties: bytes
    ttl: bytes | None


def read_all(database: Database, document: DocumentKey) -> bytes:
    """Returns all properties of the document as a JSON object."""
    return database.execute(READ_ALL, *document.params()).get_value(0, 0) or NOTHING


def read_some(database: Database, document: DocumentKey, names: Collection[str]) -> bytes:
    """Returns the properties in `names` that exist, as a JSON object."""
    wanted = msgspec.json.encode(names)
    return database.execute(_READ_SOME, *document.params(), wanted).get_value(0, 0) or NOTHING


def read_filtered(database: Database, document: DocumentKey, names: Collection[str]) -> bytes:
    """Returns the properties in `names` that exist, as a JSON object with keys of the form `namespace.name`."""
    wanted = msgspec.json.encode(names)
    return database.execute(_READ_FILTERED, *document.params(), wanted).get_value(0, 0) or NOTHING


def read_one(database: Database, document: DocumentKey, name: str) -> bytes | None:
    """Returns the value of the property as JSON; None if the property does not exist."""
    result = database.execute(READ_ONE, *document.params(), name.encode())
    return result.get_value(0, 0) if result.ntuples else None


def read_document(database: Database, document: DocumentKey) -> Payload | None:
    """Returns the payload and expiry of a v2 document; None if the document has no properties."""
    result = database.execute(READ_DOCUMENT, *document.params())
    properties = result.get_value(0, 0)
    return Payload(properties, result.get_value(0, 1)) if properties else None
