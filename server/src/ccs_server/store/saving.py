"""Saving properties: all of a request or nothing.

A v1 save is one statement where nothing stands in its way: `SAVE`. A v2 save takes the document's lock first, in the
same round trip: `SAVE_DOCUMENT`. Where either has saved nothing, `_SAVE_LOCKED` tries again in a transaction of several
round trips.
"""

from ccs_server.domain.errors import BUSY, TooLarge, Unavailable
from ccs_server.store.database import Database
from ccs_server.store.document import LOCK, DocumentKey, document_lock
from ccs_server.store.namespaces import ensure_namespace
from ccs_server.store.wire import Statement, Step

_ATTEMPTS = 10
"""How often a save ensures that its namespace exists, where others delete it each time before it has saved."""

# Of the statements below:
# - A document may have 800,000 characters as one compact JSON object (contract, section 1). `size` is the length of a
#   property's `"name":value,`. The object has two braces more than the sum of these and one comma less, so it is within
#   the limit if the sum is under it.
# - A save locks rows in the order of their names (ORDER BY), so two saves cannot deadlock.
# - A save that moves the expiry to later leaves `purge_at`: the purge looks again at what has not expired by then.

# $1 account, $2 namespace, $3 session id, $4 the properties as a JSON object.
#
# Shares the document's lock. Saves nothing, and says so by inserting no row, where the namespace does not exist, where
# the lock is taken, or where the document may not have room enough: one save among others may take a 64th of the room
# that is left, so the limit holds even if 64 of them pass the check at once, and what it replaces counts as if it were
# kept. A save costs the database a tenth less so than by a statement that is exact.
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
            AND pg_try_advisory_xact_lock_shared(hashtextextended($1 || '/' || $2 || '/' || $3, 0))
    ), place AS MATERIALIZED (
        SELECT id, CASE ttl WHEN 0 THEN 'infinity'::timestamptz
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
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
    SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity')
    FROM place, given
    ORDER BY name
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at)
    """,
)

# The same under the document's lock, which it must not ask for again: PostgreSQL before 18 refuses the lock even to its
# holder while another session waits for it. Returns a row that says whether it has saved, false where the document
# would be too large; no row where the namespace does not exist.
_SAVE_LOCKED = Statement.of(
    "save_locked",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
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
        SELECT id, CASE ttl WHEN 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE (SELECT coalesce(sum(size), 0) FROM given) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > now() AND p.name NOT IN (SELECT name FROM given)
        ) < 800000
    ), saved AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
        SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity')
        FROM place, given
        ORDER BY name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
            purge_at = least(property.purge_at, excluded.purge_at)
    )
    SELECT place.id IS NOT NULL FROM target LEFT JOIN place ON true
    """,
)

# v2's save, under the document's lock too: all live properties of the document expire at once, those that are not given
# too. $5 is the TTL that was asked for, 0 for the one in force, and $6 the maximum retention, both in seconds. It
# inserts no row where the namespace does not exist or the document may not have room enough; alone, it may take all of
# the room. It stamps rows in no order, so beside another save of the document it could deadlock.
SAVE_DOCUMENT = Statement.of(
    "save_document",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
    ), place AS MATERIALIZED (
        SELECT id, now() + interval '1 second' * least($6::bigint,
            coalesce(nullif($5::bigint, 0), nullif(ttl, 0), $6::bigint)) AS expires_at
        FROM target
        WHERE char_length($4::json::text) + (
            SELECT coalesce(sum(p.size), 0) FROM property p
            WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                AND p.expires_at > now()
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
            AND p.expires_at > now() AND p.name NOT IN (SELECT json_object_keys($4))
    )
    INSERT INTO property
        (account, namespace_id, session_id, name, value, size, expires_at, purge_at)
    SELECT $1, place.id, $3, name, value, size, expires_at, expires_at
    FROM place, given
    ORDER BY name
    ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
    SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
        purge_at = least(property.purge_at, excluded.purge_at)
    """,
)

# What v2's save does besides saving: by itself where nothing is given, and after _SAVE_LOCKED where SAVE_DOCUMENT has
# saved nothing. $4 is the TTL that was asked for and $5 the maximum retention.
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
        SELECT id, now() + interval '1 second' * least($5::bigint,
            coalesce(nullif($4::bigint, 0), nullif(ttl, 0), $5::bigint)) AS expires_at
        FROM target
    )
    UPDATE property p
    SET expires_at = place.expires_at, purge_at = least(p.purge_at, place.expires_at)
    FROM place
    WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
        AND p.expires_at > now()
    """,
)

_SAVED = b"t"
_NOTHING = b"{}"


def save(database: Database, document: DocumentKey, properties: bytes) -> None:
    """Upserts each member of the JSON object `properties`, at least one, with the TTL in force.

    Raises:
        TooLarge: the document would grow over its limit; nothing is saved.
        LimitReached: its namespace is new, and the account has as many as it may have.
    """
    if not database.execute(SAVE, *document.params(), properties).command_tuples:
        _save_locked(database, document, properties)


def save_document(
    database: Database, document: DocumentKey, properties: bytes, *, ttl: int, max_retention: int
) -> None:
    """Upserts each member, and gives every property of the document the same new expiry.

    Args:
        database: where to save.
        document: what to save into.
        properties: a JSON object.
        ttl: seconds from now; 0 for the TTL in force or, if that is forever, `max_retention`.
        max_retention: seconds from now at the most.

    Raises:
        TooLarge: the document would grow over its limit; nothing is saved.
        LimitReached: its namespace is new, and the account has as many as it may have.
    """
    address = document.params()
    times = b"%d" % ttl, b"%d" % max_retention
    stamp = _STAMP, (*address, *times)
    if properties == _NOTHING:
        database.pipeline((LOCK, address), stamp)
        return
    # The lock is a statement of its own, so that the save's snapshot has all that was saved before the lock was ours:
    # a property that it does not see would keep its old expiry.
    saved = database.pipeline((LOCK, address), (SAVE_DOCUMENT, (*address, properties, *times)))
    if not saved.command_tuples:
        _save_locked(database, document, properties, then=stamp)


def _save_locked(
    database: Database, document: DocumentKey, properties: bytes, *, then: Step | None = None
) -> None:
    """Saves under the document's lock, into a namespace that may be new, and runs `then` in the same transaction."""
    params = (*document.params(), properties)
    with document_lock(database, document) as wire:
        for _ in range(_ATTEMPTS):
            ensure_namespace(wire, document, database.settings.namespace_limit)
            result = wire.execute(_SAVE_LOCKED, params)
            # No row: the namespace existed, and was deleted between the two statements.
            if result.ntuples:
                break
        else:
            raise Unavailable(BUSY)
        if result.get_value(0, 0) != _SAVED:
            raise TooLarge("document too large")
        if then:
            wire.execute(*then)
