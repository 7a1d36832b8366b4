"""The one place where database errors become domain errors."""

import psycopg
from sqlalchemy.exc import DBAPIError

from ccs_server.domain.errors import BUSY, ContextError, InvalidInput, Unavailable


class StoreFault(Exception):
    """The database refused a statement because of a bug or a misconfiguration; `sqlstate` is its error code."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


UNREACHABLE = "The database cannot be reached; try again shortly."
TIMED_OUT = "The database did not answer in time; try again shortly."
READ_ONLY = "The database accepts no writes now; try again shortly."
NOT_MIGRATED = "The database's schema is not current; the operator must run 'ccs migrate'."
NOT_STORABLE = (
    "The body is not JSON that can be stored; send valid UTF-8 without U+0000 or lone surrogates."
)

# By SQLSTATE or, failing that, by its class (the first two characters).
_UNAVAILABLE = {
    "08": UNREACHABLE,  # connection exception
    "53": BUSY,  # insufficient resources, too many connections
    "57": UNREACHABLE,  # operator intervention: shutdown, crash, starting up
    "58": UNREACHABLE,  # system error: the disk is full or broken
    "40": BUSY,  # transaction rollback: deadlock, serialization
    "55P03": BUSY,  # lock not available
    "57014": TIMED_OUT,  # statement timeout
    "25006": READ_ONLY,  # a standby, or default_transaction_read_only
    "26000": UNREACHABLE,  # a pooler took the prepared statement away
    "42P01": NOT_MIGRATED,  # undefined table
    "42703": NOT_MIGRATED,  # undefined column
}
# Citus reports these as internal errors: it has lost its connection to another node, with the message of libpq, or a
# part of a table has just moved.
_INTERNAL_ERROR = "XX000"
_CITUS_UNAVAILABLE = (
    "server closed the connection",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "could not find valid entry for shard",
)
_NOT_STORABLE = {"22P02", "22P05", "22021", "22030", "22032"}


def fault_from_sqlstate(sqlstate: str, message: str) -> ContextError | StoreFault:
    """Maps an SQLSTATE to the error that the client receives, or to a StoreFault if the client cannot act on it."""
    if sqlstate in _NOT_STORABLE:
        return InvalidInput(NOT_STORABLE, "body")
    if sqlstate == _INTERNAL_ERROR and message.startswith(_CITUS_UNAVAILABLE):
        return Unavailable(UNREACHABLE)
    sentence = _UNAVAILABLE.get(sqlstate) or _UNAVAILABLE.get(sqlstate[:2])
    return Unavailable(sentence) if sentence else StoreFault(message, sqlstate)


def fault_from_driver(error: DBAPIError | psycopg.Error) -> ContextError | StoreFault:
    """Maps an error of psycopg, wrapped by SQLAlchemy or not, as `fault_from_sqlstate` does."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        return Unavailable(UNREACHABLE)
    return fault_from_sqlstate(sqlstate, str(cause))
