"""The settings of a namespace: what is switched on in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import decode, encode

from ccs_server.domain.change_log import LoggedChanges
from ccs_server.domain.credentials import new_id
from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.domain.limits import KEEP_CHANGES_SECONDS
from ccs_server.store import audit
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.features import Feature
from ccs_server.store.jobs.indexing import IndexRequest
from ccs_server.store.namespaces import ensure_namespace
from ccs_server.store.operations.base import flag
from ccs_server.store.writers import await_writers

_FEATURES: dict[LoggedChanges, Feature] = {
    "off": Feature(0),
    "names": Feature.CHANGES,
    "values": Feature.CHANGES | Feature.VALUES,
}

_ATTEMPTS = 10


@dataclass(frozen=True)
class NamespaceSettings:
    """The settings of a namespace.

    Attributes:
        changes: what the change log has of it: `off`, `names` or `values`.
        keep_changes: the seconds for which the log keeps a change.
        index: the names by which sessions are found with an index.
        sort_by_update: whether sessions are sorted by their last save.
        is_ready: whether the index is filled.
    """

    changes: LoggedChanges = "off"
    keep_changes: int = KEEP_CHANGES_SECONDS
    index: Sequence[str] = ()
    sort_by_update: bool = False
    is_ready: bool = True

    def as_in_api(self) -> dict[str, Any]:
        """What can be set, by its names in the API."""
        return {
            "changes": self.changes,
            "keepChanges": self.keep_changes,
            "index": list(self.index),
            "sortByUpdate": self.sort_by_update,
        }


class _Stored(Struct, omit_defaults=True):
    """The column `settings`: what was set."""

    changes: LoggedChanges | UnsetType = UNSET
    keepChanges: int | UnsetType = UNSET  # noqa: N815 - as in the API
    index: Sequence[str] = ()
    sortByUpdate: bool = False  # noqa: N815
    # Which change of the index this is, and of which one it has all properties (`search_index`).
    generation: int = 0
    readyGeneration: int = 0  # noqa: N815


_READ = Statement.of(
    "read_namespace_settings", "SELECT settings FROM namespace WHERE account = $1 AND name = $2"
)

_LOCK = Statement.of(
    "lock_namespace_settings",
    "SELECT settings, features FROM namespace WHERE account = $1 AND name = $2 FOR UPDATE",
)

# $3 the settings, $4 the features, $5 whether changes are logged, $6 the id of a job that fills the index, or NULL, $7
# its request, $8 actor, $9 what has changed, or NULL. The head of the log must be there before the first event is.
_CHANGE = Statement.of(
    "change_namespace_settings",
    """
    WITH head AS (
        INSERT INTO change_head (account, epoch)
        SELECT $1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE $5::boolean
        ON CONFLICT DO NOTHING
    ), filling AS (
        INSERT INTO job (account, id, kind, actor, request)
        SELECT $1, $6, 'index', $8, $7::json WHERE $6::text IS NOT NULL
    ), audited AS (
        INSERT INTO audit (account, action, subject, actor, details)
        SELECT $1, 'namespace.changed', $2, $8, $9::json WHERE $9::json IS NOT NULL
        UNION ALL
        SELECT $1, 'job.created', $6, $8, json_build_object('kind', 'index', 'reference', '', 'dry_run', false)
        WHERE $6::text IS NOT NULL
    )
    UPDATE namespace SET settings = $3::json, features = $4::integer WHERE account = $1 AND name = $2
    """,
)


def read_settings(database: Database, account: str, namespace: str) -> NamespaceSettings | None:
    """Returns the settings of the namespace; None if it does not exist."""
    found = database.execute(_READ, account.encode(), namespace.encode())
    return _settings(found.get_value(0, 0)) if found.ntuples else None


def change_settings(  # noqa: PLR0913 - every setting
    database: Database,
    account: str,
    namespace: str,
    *,
    changes: LoggedChanges | None = None,
    keep_changes: int | None = None,
    index: Sequence[str] | None = None,
    sort_by_update: bool | None = None,
    by: str = "",
) -> NamespaceSettings:
    """Changes the settings that are not None, and creates the namespace if it does not exist.

    If this switches a log on, every write that began before has ended when it returns. A new index is filled by a job,
    which `by` is the creator of. What has changed is recorded in the audit.

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
            old = _settings(encode(stored))
            stored.changes = stored.changes if changes is None else changes
            stored.keepChanges = stored.keepChanges if keep_changes is None else keep_changes
            filling = _change_index(stored, namespace, index=index, sort_by_update=sort_by_update)
            settings = _settings(encode(stored))
            log = _FEATURES[settings.changes]
            features = log | _index_features(stored)
            job = (None, None) if filling is None else (new_id().encode(), encode(filling))
            changed = audit.difference(old.as_in_api(), settings.as_in_api())
            values = encode(stored), b"%d" % features, flag(bool(log)), *job, by.encode()
            connection.execute(_CHANGE, (*params, *values, encode(changed) if changed else None))
        database.features.learn(account, namespace, has_any=bool(features))
        if changed:
            audit.log(audit.By(account, by), audit.Action.NAMESPACE_CHANGED, namespace)
        if log & ~before:
            await_writers(database)
        return settings
    raise Unavailable(BUSY)


def _stored(column: bytes | None) -> _Stored:
    return decode(column, type=_Stored) if column else _Stored()


def _settings(column: bytes | None) -> NamespaceSettings:
    stored = _stored(column)
    default = NamespaceSettings()
    return NamespaceSettings(
        default.changes if stored.changes is UNSET else stored.changes,
        default.keep_changes if stored.keepChanges is UNSET else stored.keepChanges,
        stored.index,
        stored.sortByUpdate,
        stored.generation == stored.readyGeneration,
    )


def _index_features(stored: _Stored) -> Feature:
    index = Feature.INDEX if stored.index else Feature(0)
    return index | Feature.UPDATES if stored.sortByUpdate else index


def _change_index(
    stored: _Stored, namespace: str, *, index: Sequence[str] | None, sort_by_update: bool | None
) -> IndexRequest | None:
    """Changes what is indexed, and returns what the job is to fill, if it has to."""
    before = stored.index, stored.sortByUpdate
    stored.index = stored.index if index is None else sorted(set(index))
    stored.sortByUpdate = stored.sortByUpdate if sort_by_update is None else sort_by_update
    is_asked = index is not None or sort_by_update is not None
    is_ready = stored.generation == stored.readyGeneration
    # One that is not ready may have no job any more.
    if (stored.index, stored.sortByUpdate) == before and (is_ready or not is_asked):
        return None
    stored.generation += 1
    if not _index_features(stored):
        stored.readyGeneration = stored.generation
    return IndexRequest(namespace, stored.generation)
