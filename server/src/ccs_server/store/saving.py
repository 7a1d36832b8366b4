"""Saves properties. Each request is saved as a whole or not at all.

A v1 save usually takes one statement, `SAVE` or `SAVE_ONE`. A v2 save takes the document's lock and then executes
`SAVE_DOCUMENT` or `SAVE_DOCUMENT_ONE`, in one round trip. If one of these has saved nothing, `_SAVE_LOCKED` tries again
in a transaction of several round trips.
"""

from msgspec import Raw
from msgspec.json import encode

from ccs_server.domain.errors import BUSY, TooLarge, Unavailable
from ccs_server.store.connection import Params, Statement, Step
from ccs_server.store.database import Database
from ccs_server.store.document import LOCK, DocumentKey, document_lock
from ccs_server.store.logged import logged
from ccs_server.store.namespaces import ensure_namespace

_ATTEMPTS = 10
"""How often a save creates its namespace again if the namespace is deleted concurrently."""

# The statements below share these rules:
# - A document is limited to 800,000 characters as a compact JSON object (contract, section 1). `size` is the length of
#   `"name":value,` for each property. The object has two braces more and one comma less than the sum of these, so it is
#   within the limit if the sum is below the limit.
# - A save locks rows in the order of their names (ORDER BY), so two saves cannot deadlock.
# - A save that postpones the expiry keeps `purge_at`; the purge then finds that the row has not expired yet.
# - A save in a transaction that has waited for the lock judges by `statement_timestamp()`, the time at which it begins
#   itself. `now()` is when the transaction began, and would bring back what has expired since.

# $1 account, $2 namespace, $3 session id, $4 the properties as a JSON object.
#
# Takes the document's lock in shared mode. It saves nothing, and inserts no row, if the namespace does not exist or has
# features, if the lock is not available, or if the document may become too large. That last check is approximate: a
# save may take 1/64 of the space left, so that the limit holds even if 64 saves pass the check at once, and values that
# it replaces count as if they were kept. This costs the database a tenth less than an exact check.
SAVE = Statement.of(
    "save",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
            AND n.features = 0
            AND pg_try_advisory_xact_lock_shared(hashtextextended(n.account || '/' || n.name || '/' || $3, 0))
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE 64 * char_length($4::json::text) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > now()
        ) < 800000
    ), given AS (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    )
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
    SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity'), now()
    FROM place, given
    ORDER BY name
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
    """,
)

# Saves one property as `SAVE` does: $4 is its name and $5 its value. This costs the database a sixth less, because it
# takes no object apart, joins nothing and sorts nothing. OFFSET 0 keeps the subquery separate, which takes the lock: it
# is executed once, and the size is checked afterwards.
SAVE_ONE = Statement.of(
    "save_one",
    """
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
    SELECT $1, target.id, $3, $4, $5, size, expires_at, nullif(expires_at, 'infinity'), now()
    FROM (
        SELECT n.id, char_length(to_json($4::text)::text) + char_length($5::json::text) + 2 AS size,
            coalesce(now() + interval '1 second' * nullif(coalesce((
                SELECT s.ttl_seconds FROM session_ttl s
                WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
            ), n.ttl_seconds), 0), 'infinity') AS expires_at
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
            AND n.features = 0
            AND pg_try_advisory_xact_lock_shared(hashtextextended(n.account || '/' || n.name || '/' || $3, 0))
        OFFSET 0
    ) AS target
    WHERE 64 * size + (
        SELECT coalesce(sum(p.size), 0) FROM property p
        WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
            AND p.expires_at > now()
    ) < 800000
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
    """,
)

# Saves under the document's exclusive lock, with an exact check of the size. It does not take the lock again, because
# before version 18 PostgreSQL refuses that even to its holder while another session waits for the lock. Returns one row
# that says whether it has saved, which is false if the document would be too large, and whether the namespace has
# features; or no row if the namespace does not exist.
_SAVE_LOCKED = Statement.of(
    "save_locked",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, n.features <> 0 AS has_features, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
    ), given AS MATERIALIZED (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE statement_timestamp() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE (SELECT coalesce(sum(size), 0) FROM given) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > statement_timestamp() AND p.name NOT IN (SELECT name FROM given)
        ) < 800000
    ), changed AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity'), statement_timestamp()
        FROM place, given
        ORDER BY name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
            purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
    )
    SELECT place.id IS NOT NULL, has_features FROM target LEFT JOIN place ON true
    """,
)

# v2's save, under the document's exclusive lock. It gives all live properties of the document the same expiry,
# including those that are not in the request. $5 is the requested TTL, or 0 for the TTL in force, and $6 is the maximum
# retention, both in seconds. It inserts no row if the namespace does not exist or has features, or if the document may
# become too large; under the exclusive lock it may take all the space left. The lock is also needed because it updates
# expiries in no particular order, and could deadlock with another save of the document.
SAVE_DOCUMENT = Statement.of(
    "save_document",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND n.features = 0
    ), place AS MATERIALIZED (
        SELECT id, statement_timestamp() + interval '1 second' * least($6::bigint,
            coalesce(nullif($5::bigint, 0), nullif(ttl, 0), $6::bigint)) AS expires_at
        FROM target
        WHERE char_length($4::json::text) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > statement_timestamp()
        ) < 800000
    ), given AS (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    ), stamped AS (
        UPDATE property p
        SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.expires_at)
        FROM place
        WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
            AND p.expires_at > statement_timestamp() AND p.name NOT IN (SELECT json_object_keys($4))
    )
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
    SELECT $1, place.id, $3, name, value, size, expires_at, expires_at, statement_timestamp()
    FROM place, given
    ORDER BY name
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
    """,
)

# Saves one property as `SAVE_DOCUMENT` does, and for the reason of `SAVE_ONE`: $4 is its name, $5 its value, $6 the
# requested TTL and $7 the maximum retention.
SAVE_DOCUMENT_ONE = Statement.of(
    "save_document_one",
    """
    WITH place AS MATERIALIZED (
        SELECT n.id, char_length(to_json($4::text)::text) + char_length($5::json::text) + 2 AS size,
            statement_timestamp() + interval '1 second' * least($7::bigint,
                coalesce(nullif($6::bigint, 0), nullif(coalesce((
                    SELECT s.ttl_seconds FROM session_ttl s
                    WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
                ), n.ttl_seconds), 0), $7::bigint)) AS expires_at
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND n.features = 0
            AND char_length(to_json($4::text)::text) + char_length($5::json::text) + 2 + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = n.id AND p.session_id = $3
                    AND p.expires_at > statement_timestamp()
            ) < 800000
    ), stamped AS (
        UPDATE property p
        SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.expires_at)
        FROM place
        WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
            AND p.expires_at > statement_timestamp() AND p.name <> $4
    )
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
    SELECT $1, place.id, $3, $4, $5, size, expires_at, expires_at, statement_timestamp()
    FROM place
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
    """,
)

# Updates the expiry of all live properties, as v2's save does. It is used if the request has no properties, and after
# _SAVE_LOCKED if the statements above have saved nothing. $4 is the requested TTL and $5 the maximum retention, in
# seconds.
_STAMP = Statement.of(
    "stamp_document",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
    ), place AS MATERIALIZED (
        SELECT id, statement_timestamp() + interval '1 second' * least($5::bigint,
            coalesce(nullif($4::bigint, 0), nullif(ttl, 0), $5::bigint)) AS expires_at
        FROM target
    )
    UPDATE property p
    SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.expires_at)
    FROM place
    WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
        AND p.expires_at > statement_timestamp()
    """,
)

_YES = b"t"
_LOGS = b"1"
_NOTHING = b"{}"
_ESCAPE = rb"\u"


def save(database: Database, document: DocumentKey, properties: bytes, by: str = "") -> None:
    """Upserts each member of `properties`, a JSON object that is not empty, with the TTL in force.

    Args:
        database: the database to save to.
        document: the document to update.
        properties: the JSON object.
        by: the credential that saves it, for the change log.

    Raises:
        TooLarge: the document would exceed its limit; nothing is saved.
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
    """
    step = SAVE, (*document.params(), properties)
    if not _save_at_once(database, document, step, by):
        _save_locked(database, document, properties, by)


def save_one(
    database: Database, document: DocumentKey, name: str, value: bytes, by: str = ""
) -> None:
    """Upserts one property, with the TTL in force, as `save` does.

    Args:
        database: the database to save to.
        document: the document to update.
        name: the property.
        value: its value, compact JSON.
        by: the credential that saves it, for the change log.

    Raises:
        TooLarge: the document would exceed its limit; nothing is saved.
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
    """
    if not _save_at_once(database, document, step_of_one(document, name, value), by):
        _save_locked(database, document, _object(name, value), by)


def step_of_one(document: DocumentKey, name: str, value: bytes) -> Step:
    """The statement by which one property is saved without waiting for the document's lock, and its parameters."""
    # PostgreSQL refuses half a surrogate pair when it takes an object apart, but not in a value.
    if _ESCAPE in value:
        return SAVE, (*document.params(), _object(name, value))
    return SAVE_ONE, (*document.params(), name.encode(), value)


def _object(name: str, value: bytes) -> bytes:
    return encode({name: Raw(value)})


def _save_at_once(database: Database, document: DocumentKey, step: Step, by: str) -> bool:
    """Saves by a statement without waiting for the document's lock. Returns whether it has saved."""
    statement, params = step
    account, namespace, _ = document
    features = database.features
    if (
        not features.has_any(account, namespace)
        and database.execute(statement, *params).command_tuples
    ):
        return True
    result = database.execute(logged(statement), *params, by.encode())
    if not result.ntuples:
        return False
    features.learn(account, namespace, has_any=result.get_value(0, 0) == _LOGS)
    return True


def save_document(  # noqa: PLR0913 - what to save, and how
    database: Database,
    document: DocumentKey,
    properties: bytes,
    *,
    ttl: int,
    max_retention: int,
    by: str = "",
) -> None:
    """Upserts each member of `properties`, and gives all properties of the document the same new expiry.

    Args:
        database: the database to save to.
        document: the document to update.
        properties: a JSON object.
        ttl: seconds until the expiry; 0 for the TTL in force or, if that is forever, `max_retention`.
        max_retention: the maximum of `ttl`, in seconds.
        by: the credential that saves it, for the change log.

    Raises:
        TooLarge: the document would exceed its limit; nothing is saved.
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
    """
    address = document.params()
    times = b"%d" % ttl, b"%d" % max_retention
    if properties == _NOTHING:
        database.pipeline((LOCK, address), _stamp(address, times, by))
        return
    step = SAVE_DOCUMENT, (*address, properties, *times)
    if not _save_under_lock(database, document, step, by):
        _save_locked(database, document, properties, by, then=_stamp(address, times, by))


def save_document_one(  # noqa: PLR0913 - what to save, and how
    database: Database,
    document: DocumentKey,
    name: str,
    value: bytes,
    *,
    ttl: int,
    max_retention: int,
    by: str = "",
) -> None:
    """Upserts one property, and gives all properties of the document the same new expiry, as `save_document` does.

    Args:
        database: the database to save to.
        document: the document to update.
        name: the property.
        value: its value, compact JSON.
        ttl: seconds until the expiry; 0 for the TTL in force or, if that is forever, `max_retention`.
        max_retention: the maximum of `ttl`, in seconds.
        by: the credential that saves it, for the change log.

    Raises:
        TooLarge: the document would exceed its limit; nothing is saved.
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
    """
    if _ESCAPE in value:
        properties = _object(name, value)
        save_document(database, document, properties, ttl=ttl, max_retention=max_retention, by=by)
        return
    address = document.params()
    times = b"%d" % ttl, b"%d" % max_retention
    step = SAVE_DOCUMENT_ONE, (*address, name.encode(), value, *times)
    if not _save_under_lock(database, document, step, by):
        stamp = _stamp(address, times, by)
        _save_locked(database, document, _object(name, value), by, then=stamp)


def _save_under_lock(database: Database, document: DocumentKey, step: Step, by: str) -> bool:
    """Waits for the document's lock and saves by a statement, in one round trip. Returns whether it has saved.

    The lock is a separate statement, so that the save's snapshot includes everything that was saved before the lock was
    granted. A property outside the snapshot would keep its old expiry.
    """
    statement, params = step
    account, namespace, _ = document
    lock = LOCK, params[:3]
    features = database.features
    if not features.has_any(account, namespace):
        _, saved = database.pipeline(lock, step)
        if saved.command_tuples:
            return True
    _, saved = database.pipeline(lock, (logged(statement).after_waiting(), (*params, by.encode())))
    if not saved.ntuples:
        return False
    features.learn(account, namespace, has_any=saved.get_value(0, 0) == _LOGS)
    return True


def _stamp(address: Params, times: Params, by: str) -> Step:
    return logged(_STAMP).after_waiting(), (*address, *times, by.encode())


def _save_locked(
    database: Database,
    document: DocumentKey,
    properties: bytes,
    by: str,
    *,
    then: Step | None = None,
) -> None:
    """Saves under the document's exclusive lock, and executes `then` in the same transaction.

    The namespace is created if it does not exist.
    """
    save = logged(_SAVE_LOCKED).after_waiting()
    params = *document.params(), properties, by.encode()
    with document_lock(database, document) as connection:
        for _ in range(_ATTEMPTS):
            ensure_namespace(
                connection, document.account, document.namespace, database.settings.namespace_limit
            )
            result = connection.execute(save, params)
            # There is no row if the namespace was deleted between the two statements.
            if result.ntuples:
                break
        else:
            raise Unavailable(BUSY)
        if result.get_value(0, 0) != _YES:
            raise TooLarge("document too large")
        if then:
            connection.execute(*then)
    has_features = result.get_value(0, 1) == _YES
    database.features.learn(document.account, document.namespace, has_any=has_features)
