"""What the statements about one document share: how it is found, and its lock.

A document is the properties of one namespace and session of an account: `$1`, `$2` and `$3` of every statement here.

Its lock is an advisory one of PostgreSQL. Savers share it, so they do not wait for each other; what must see the
document whole takes it alone: deleting several properties, stamping all of them, and a save that is large beside the
room that is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ccs_server.store.database import Database
from ccs_server.store.wire import Statement, Wire


class Document(NamedTuple):
    """The address of a document. The session id is `__default__` where there is no session."""

    account: str
    namespace: str
    session_id: str

    def params(self) -> tuple[bytes, bytes, bytes]:
        """The statements' first three parameters."""
        return self.account.encode(), self.namespace.encode(), self.session_id.encode()


LOCK_KEY = "hashtextextended($1 || '/' || $2 || '/' || $3, 0)"

# A subquery, not a join: it is looked up first in any case, and the index is entered with what it gives. Of a join, the
# planner may make a scan of the account's every namespace.
NAMESPACE_ID = "(SELECT id FROM namespace WHERE account = $1 AND name = $2)"

PROPERTIES = f"""
    FROM property p
    WHERE p.account = $1 AND p.namespace_id = {NAMESPACE_ID} AND p.session_id = $3
"""

LIVE_PROPERTIES = f"{PROPERTIES} AND p.expires_at > now()"

_LOCK = Statement.of("lock", f"SELECT pg_advisory_xact_lock({LOCK_KEY})")


@contextmanager
def alone(database: Database, document: Document) -> Iterator[Wire]:
    """A transaction that has the document to itself. Statements in it see all that was saved before."""
    with database.transaction() as wire:
        # A statement of its own: the next one's snapshot is taken after the lock is ours.
        wire.execute(_LOCK, document.params())
        yield wire
