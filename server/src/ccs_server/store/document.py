"""The address of a document, and its lock.

A document is the properties of one namespace and session of an account. Its address is the first three parameters,
`$1`, `$2` and `$3`, of every statement about it.

Its lock is an advisory lock of PostgreSQL. Saves share it, so they do not wait for each other; what must see the
document whole takes it exclusively: deleting several properties, v2's save, which stamps all of them, and a save that
is large beside the room that is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ccs_server.store.database import Database
from ccs_server.store.wire import Statement, Wire


class DocumentKey(NamedTuple):
    """The address of a document. The session id is `__default__` where there is no session."""

    account: str
    namespace: str
    session_id: str

    def params(self) -> tuple[bytes, bytes, bytes]:
        """The statements' first three parameters."""
        return self.account.encode(), self.namespace.encode(), self.session_id.encode()


# A statement of its own: the snapshot of the next one is taken when the lock is ours. Saves that share the lock
# (store/saving.py) ask for the same key.
LOCK = Statement.of(
    "lock_document",
    "SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))",
)


@contextmanager
def document_lock(database: Database, document: DocumentKey) -> Iterator[Wire]:
    """A transaction that holds the document's lock exclusively; its statements see all that was saved before."""
    with database.transaction() as wire:
        wire.execute(LOCK, document.params())
        yield wire
