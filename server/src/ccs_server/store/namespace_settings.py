"""The settings of a namespace: what is switched on in it."""

from time import monotonic, sleep
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import decode, encode

from ccs_server.domain.change_log import LoggedChanges
from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.domain.limits import KEEP_CHANGES_SECONDS
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.features import Feature
from ccs_server.store.namespaces import ensure_namespace

_FEATURES: dict[LoggedChanges, Feature] = {
    "off": Feature(0),
    "names": Feature.CHANGES,
    "values": Feature.CHANGES | Feature.VALUES,
}

_PAUSE_SECONDS = 0.01

_ATTEMPTS = 10


class NamespaceSettings(NamedTuple):
    """The settings of a namespace.

    Attributes:
        changes: what the change log has of it: `off`, `names` or `values`.
        keep_changes: the seconds for which the log keeps a change.
    """

    changes: LoggedChanges = "off"
    keep_changes: int = KEEP_CHANGES_SECONDS


class _Stored(Struct, omit_defaults=True):
    """The column `settings`: what was set."""

    changes: LoggedChanges | UnsetType = UNSET
    keepChanges: int | UnsetType = UNSET  # noqa: N815 - as in the API


_READ = Statement.of(
    "read_namespace_settings", "SELECT settings FROM namespace WHERE account = $1 AND name = $2"
)

_LOCK = Statement.of(
    "lock_namespace_settings",
    "SELECT settings, features FROM namespace WHERE account = $1 AND name = $2 FOR UPDATE",
)

# $3 the settings, $4 the features, $5 whether changes are logged. The head of the log must be there before the first
# event is.
_CHANGE = Statement.of(
    "change_namespace_settings",
    """
    WITH head AS (
        INSERT INTO change_head (account, epoch)
        SELECT $1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE $5::boolean
        ON CONFLICT DO NOTHING
    )
    UPDATE namespace SET settings = $3::json, features = $4::integer WHERE account = $1 AND name = $2
    """,
)

# The transactions that change properties now. A statement takes this lock before its snapshot, so those that are not
# among them see what was committed before. No transaction waits for this statement.
_WRITERS = Statement.of(
    "list_writers",
    """
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'property'::regclass AND mode = 'RowExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """,
)


def read_settings(database: Database, account: str, namespace: str) -> NamespaceSettings | None:
    """Returns the settings of the namespace; None if it does not exist."""
    found = database.execute(_READ, account.encode(), namespace.encode())
    return _settings(found.get_value(0, 0)) if found.ntuples else None


def change_settings(
    database: Database,
    account: str,
    namespace: str,
    *,
    changes: LoggedChanges | None = None,
    keep_changes: int | None = None,
) -> NamespaceSettings:
    """Changes the settings that are not None, and creates the namespace if it does not exist.

    If this switches something on, every write that began before has ended when it returns.

    Raises:
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
        Unavailable: the database cannot be used now, or a write takes too long; the settings may have been changed.
    """
    params = account.encode(), namespace.encode()
    for _ in range(_ATTEMPTS):
        with database.transaction() as connection:
            ensure_namespace(connection, account, namespace, database.settings.namespace_limit)
            found = connection.execute(_LOCK, params)
            if not found.ntuples:
                # It was deleted in between.
                continue
            before = int(found.get_value(0, 1) or 0)
            stored = _stored(found.get_value(0, 0))
            stored.changes = stored.changes if changes is None else changes
            stored.keepChanges = stored.keepChanges if keep_changes is None else keep_changes
            settings = _settings(encode(stored))
            features = _FEATURES[settings.changes]
            logs = b"t" if features else b"f"
            connection.execute(_CHANGE, (*params, encode(stored), b"%d" % features, logs))
        database.features.learn(account, namespace, has_any=bool(features))
        if features & ~before:
            _await_writers(database)
        return settings
    raise Unavailable(BUSY)


def _await_writers(database: Database) -> None:
    """Waits until every transaction that changes properties now has ended."""
    deadline = monotonic() + 2 * database.settings.statement_timeout
    running = _writers(database)
    while running:
        if monotonic() > deadline:
            raise Unavailable(BUSY)
        sleep(_PAUSE_SECONDS)
        running &= _writers(database)


def _writers(database: Database) -> set[bytes]:
    found = database.execute(_WRITERS)
    return {found.get_value(row, 0) or b"" for row in range(found.ntuples)}


def _stored(column: bytes | None) -> _Stored:
    return decode(column, type=_Stored) if column else _Stored()


def _settings(column: bytes | None) -> NamespaceSettings:
    stored = _stored(column)
    default = NamespaceSettings()
    return NamespaceSettings(
        default.changes if stored.changes is UNSET else stored.changes,
        default.keep_changes if stored.keepChanges is UNSET else stored.keepChanges,
    )
