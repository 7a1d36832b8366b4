"""Deletes properties. Deleting a property that does not exist is not an error.

Deleting one property takes the document's lock in shared mode, as saves do, so that it waits for operations that need
all of the document. Deleting several takes it in exclusive mode first, in the same round trip, so that a concurrent
save is deleted as a whole or not at all.
"""

from collections.abc import Collection

import msgspec

from ccs_server.store.connection import Statement, Step
from ccs_server.store.database import Database
from ccs_server.store.document import LOCK, DocumentKey
from ccs_server.store.logged import logged

# The namespace is a subquery, not a join, in all statements of the store. A subquery is evaluated first, and its result
# is used to search the index. For a join, the planner might scan all namespaces of the account.

DELETE_ALL = Statement.of(
    "delete_all",
    """
    DELETE FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3
    """,
)

_DELETE_ONE = Statement.of(
    "delete_one",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, pg_advisory_xact_lock_shared(
            hashtextextended(n.account || '/' || n.name || '/' || $3, 0))::text AS locked
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND n.features = 0
    )
    DELETE FROM property p
    WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM target) AND p.session_id = $3 AND p.name = $4
    """,
)

_DELETE_SOME = Statement.of(
    "delete_some",
    """
    DELETE FROM property p
    WHERE p.account = $1
        AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND p.session_id = $3
        AND p.name = ANY (ARRAY(SELECT json_array_elements_text($4)))
    """,
)


def delete_one(database: Database, document: DocumentKey, name: str, by: str = "") -> None:
    """Deletes one property. `by` is the credential that deletes it, for the change log."""
    params = *document.params(), name.encode()
    if (
        database.features.has_any(document.account, document.namespace)
        or not database.execute(_DELETE_ONE, *params).command_tuples
    ):
        # It is not there, or its namespace has features.
        database.execute(logged(_DELETE_ONE), *params, by.encode())


def delete_some(
    database: Database, document: DocumentKey, names: Collection[str], by: str = ""
) -> None:
    """Deletes the named properties in one transaction. `by` is as in `delete_one`."""
    address = document.params()
    params = *address, msgspec.json.encode(names), by.encode()
    database.pipeline((LOCK, address), (logged(_DELETE_SOME).after_waiting(), params))


def delete_all(database: Database, document: DocumentKey, by: str = "") -> None:
    """Deletes all properties of the document. Its TTL is kept. `by` is as in `delete_one`."""
    database.pipeline((LOCK, document.params()), delete_all_step(document, by))


def delete_all_step(document: DocumentKey, by: str) -> Step:
    """The step that deletes all properties of the document, whose lock the transaction has waited for."""
    return logged(DELETE_ALL).after_waiting(), (*document.params(), by.encode())
