"""Reads properties. PostgreSQL assembles the JSON, and its bytes become the body of the response.

For this reason some statements contain names of the API (`createdAt`, `namespace.name`); docs/architecture.md explains
the trade-off.
"""

from collections.abc import Collection
from typing import NamedTuple

import msgspec
from psycopg.pq.abc import PGresult

from ccs_server.domain.conditions import etag_of
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey

NOTHING = b"{}"

# Objects are ordered by name, so that the same properties are always the same text and have the same entity tag. The
# primary key returns them in this order, so nothing is sorted.

READ_ALL = Statement.of(
    "read_all",
    """
    SELECT json_object_agg(p.name, p.value ORDER BY p.name)
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

READ_SOME = Statement.of(
    "read_some",
    """
    SELECT json_object_agg(p.name, p.value ORDER BY p.name)
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
    SELECT json_object_agg($2 || '.' || p.name, p.value ORDER BY p.name)
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
    SELECT json_object_agg(p.name, p.value ORDER BY p.name),
        to_char(nullif(max(p.expires_at), 'infinity') AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
    """,
)

READ_ONE_DESCRIBED = Statement.of(
    "read_one_described",
    """
    SELECT p.value,
        to_char(nullif(p.expires_at, 'infinity') AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
        AND p.name = $4
    """,
)

# Returns the properties as `READ_ALL` does, and each with what is known about it.
READ_ALL_DESCRIBED = Statement.of(
    "read_all_described",
    """
    SELECT json_object_agg(p.name, p.value ORDER BY p.name),
        json_object_agg(p.name, json_build_object(
            'value', p.value,
            'etag', '"' || ccs_etag(p.value) || '"',
            'expiresAt', to_char(nullif(p.expires_at, 'infinity') AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'updatedAt', to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY p.name)
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
    """,
)

READ_SOME_DESCRIBED = Statement.of(
    "read_some_described",
    """
    SELECT json_object_agg(p.name, p.value ORDER BY p.name),
        json_object_agg(p.name, json_build_object(
            'value', p.value,
            'etag', '"' || ccs_etag(p.value) || '"',
            'expiresAt', to_char(nullif(p.expires_at, 'infinity') AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'updatedAt', to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        ) ORDER BY p.name)
    FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3 AND p.expires_at > now()
        AND p.name = ANY (ARRAY(SELECT json_array_elements_text($4)))
    """,
)


class Described(NamedTuple):
    """A property with its entity tag, its expiry and its last save (both UTC with milliseconds, or None)."""

    value: bytes
    etag: str
    expires_at: str | None
    updated_at: str | None

    def members(self, value: bytes | None = None) -> dict[str, object]:
        """The JSON members that describe the property, with a part of its value if one is given."""
        return {
            "value": msgspec.Raw(self.value if value is None else value),
            "etag": self.etag,
            "expiresAt": self.expires_at,
            "updatedAt": self.updated_at,
        }


def described(result: PGresult) -> Described | None:
    """Reads the result of READ_ONE_DESCRIBED; None if there is no such property."""
    if not result.ntuples:
        return None
    value, expires_at, updated_at = (result.get_value(0, column) for column in range(3))
    assert value is not None  # noqa: S101 - the column is NOT NULL
    return Described(value, etag_of(value), _text(expires_at), _text(updated_at))


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
    return database.execute(READ_SOME, *document.params(), wanted).get_value(0, 0) or NOTHING


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


def read_described(
    database: Database, document: DocumentKey, names: Collection[str] | None
) -> tuple[bytes, bytes]:
    """Returns all properties, or those in `names` that exist: as `read_all` does, and each with what is known about it.

    The second JSON object has, for each name, `{"value","etag","expiresAt","updatedAt"}`.
    """
    if names is None:
        result = database.execute(READ_ALL_DESCRIBED, *document.params())
    else:
        wanted = msgspec.json.encode(names)
        result = database.execute(READ_SOME_DESCRIBED, *document.params(), wanted)
    return result.get_value(0, 0) or NOTHING, result.get_value(0, 1) or NOTHING


def read_one_described(database: Database, document: DocumentKey, name: str) -> Described | None:
    """Returns the property with what is known about it; None if it does not exist."""
    return described(database.execute(READ_ONE_DESCRIBED, *document.params(), name.encode()))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
