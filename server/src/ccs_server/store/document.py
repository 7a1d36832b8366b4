"""The key of a document, and its lock.

A document is all properties of one namespace and session of an account. Its key is the first three parameters, `$1`,
`$2` and `$3`, of every statement about it.

The lock is a PostgreSQL advisory lock. Saves take it in shared mode, so they do not wait for each other. Operations
that need all of the document take it in exclusive mode: deleting several properties, v2's save, which changes the
expiry of every property, and a save that is large compared with the space left in the document.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.database import Database


class DocumentKey(NamedTuple):
    """Identifies a document. The session id of namespace properties is `__default__`."""

    account: str
    namespace: str
    session_id: str

    def params(self) -> tuple[bytes, bytes, bytes]:
        """The first three parameters of a statement about this document."""
        return self.account.encode(), self.namespace.encode(), self.session_id.encode()


# This is a separate statement so that the next one takes its snapshot after the lock is granted. Saves take the same
# lock in shared mode (store/saving.py).
#
# Every statement that takes a lock reads a table by the account. In a database that is distributed by account, it is
# then executed where the account's rows are, so that all instances take the lock there. A lock of a statement without a
# table would be one of the node to which this instance is connected. `count(*)` is one row, whether or not the
# namespace exists.
LOCK = Statement.of(
    "lock_document",
    """
    SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))
    FROM (SELECT count(*) FROM namespace WHERE account = $1 AND name = $2) AS place
    """,
)


@contextmanager
def document_lock(database: Database, document: DocumentKey) -> Iterator[LibpqConnection]:
    """Runs the block in a transaction that holds the document's lock in exclusive mode.

    Statements in the block see everything that was saved before the lock was granted.
    """
    with database.transaction() as connection:
        connection.execute(LOCK, document.params())
        yield connection
