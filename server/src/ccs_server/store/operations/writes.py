"""Saves, deletes and touches properties: under conditions and fences, and with a TTL of the properties' own.

Plain saves and deletions of v1 and v2 have faster statements of their own (`store/saving.py`, `store/deleting.py`).
"""

from collections.abc import Sequence

from psycopg.pq.abc import PGresult

from ccs_server.store.connection import Params, Statement, Step
from ccs_server.store.document import LOCK
from ccs_server.store.operations.base import (
    IS_TOO_LARGE,
    Outcome,
    Write,
    check_size,
    flag,
    number,
    tags_parameter,
    text_array,
    unfenced,
)
from ccs_server.store.saving import SAVE, step_of_one
from ccs_server.store.sessions import DELETE_TTL

# The statements below have these parameters: $1 account, $2 namespace, $3 session id. `is_locked` says that the
# transaction holds the document's exclusive lock. Otherwise they take it in shared mode.
#
# The expiry of a row that a statement may have waited for is judged by the time of that moment (`ccs_has_expired`).
# `now()` is when the statement began.
#
# A TTL is in seconds, 0 is forever, and NULL is the TTL in force.
#
# A condition is an array of entity tags without quotes, `{*}`, or NULL.

# $4 the properties as a JSON object, $5 TTL (-1 keeps the expiry of those that exist), $6 If-None-Match, $7 fence,
# $8 is_locked. Without the exclusive lock it refuses as `SAVE` does; with it, the size is checked afterwards
# (IS_TOO_LARGE). Conditions other than `{*}` are for a single property.
SAVE_FULL = Statement.of(
    "save_full",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce((
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
            AND n.features = 0
            AND CASE WHEN $8::boolean THEN true ELSE pg_try_advisory_xact_lock_shared(
                hashtextextended(n.account || '/' || n.name || '/' || $3, 0)) END
    ), fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1 AND l.namespace_id = (SELECT id FROM target) AND l.session_id = $3
            AND l.fence = $7::bigint AND l.expires_at > now()
        FOR SHARE
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN coalesce(nullif($5::integer, -1), ttl) = 0 THEN 'infinity'::timestamptz
            ELSE now() + coalesce(nullif($5::integer, -1), ttl) * interval '1 second' END AS expires_at
        FROM target
        WHERE ($7::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
            AND ($8::boolean OR 64 * char_length($4::json::text) + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                    AND p.expires_at > now()
            ) < 800000)
    ), given AS (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    ), changed AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT $1, place.id, $3, name, value, size, expires_at, nullif(expires_at, 'infinity'), now()
        FROM place, given
        ORDER BY name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET value = excluded.value, size = excluded.size, updated_at = excluded.updated_at,
            expires_at = CASE WHEN $5::integer = -1 AND NOT ccs_has_expired(property.expires_at)
                THEN property.expires_at ELSE excluded.expires_at END,
            purge_at = CASE WHEN $5::integer = -1 AND NOT ccs_has_expired(property.expires_at)
                THEN property.purge_at ELSE least(property.purge_at, excluded.purge_at) END
        WHERE $6::text[] IS NULL OR ccs_has_expired(property.expires_at)
            OR ccs_etag(property.value) <> ALL ($6::text[]) AND ($6::text[])[1] <> '*'
        RETURNING 1 AS one
    )
    SELECT one FROM changed
    """,
)

# Replaces the value of a property that exists and has one of the entity tags: compare-and-swap. The row is judged in
# its newest version. $4 a JSON object of one member, $5 TTL as in SAVE_FULL, $6 If-Match, $7 If-None-Match, $8 fence.
SWAP = Statement.of(
    "swap",
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
    ), fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1 AND l.namespace_id = (SELECT id FROM target) AND l.session_id = $3
            AND l.fence = $8::bigint AND l.expires_at > now()
        FOR SHARE
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN coalesce(nullif($5::integer, -1), ttl) = 0 THEN 'infinity'::timestamptz
            ELSE now() + coalesce(nullif($5::integer, -1), ttl) * interval '1 second' END AS expires_at
        FROM target
        WHERE ($8::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
            AND 64 * char_length($4::json::text) + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                    AND p.expires_at > now()
            ) < 800000
    ), given AS MATERIALIZED (
        SELECT key COLLATE "C" AS name, value,
            char_length(to_json(key)::text) + char_length(value::text) + 2 AS size
        FROM json_each($4)
    )
    UPDATE property p
    SET value = (SELECT value FROM given), size = (SELECT size FROM given), updated_at = now(),
        expires_at = CASE WHEN $5::integer = -1 THEN p.expires_at ELSE place.expires_at END,
        purge_at = CASE WHEN $5::integer = -1 THEN p.purge_at
            ELSE least(p.purge_at, nullif(place.expires_at, 'infinity')) END
    FROM place
    WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM place) AND p.session_id = $3
        AND p.name = (SELECT name FROM given) AND NOT ccs_has_expired(p.expires_at)
        AND (($6::text[])[1] = '*' OR ccs_etag(p.value) = ANY ($6::text[]))
        AND ($7::text[] IS NULL OR ($7::text[])[1] <> '*' AND ccs_etag(p.value) <> ALL ($7::text[]))
    """,
)

# $4 the names, $5 fence, $6 is_locked. Returns the number of live properties that it has deleted, or no
# row if the fence is not in force or the lock is not available. It does not wait for the lock, because its snapshot and
# its time would be from before the wait.
DELETE_NAMED = Statement.of(
    "delete_named",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, CASE WHEN $6::boolean THEN true ELSE pg_try_advisory_xact_lock_shared(
            hashtextextended(n.account || '/' || n.name || '/' || $3, 0)) END AS is_locked
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
    ), fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1 AND l.namespace_id = (SELECT id FROM target) AND l.session_id = $3
            AND l.fence = $5::bigint AND l.expires_at > now()
        FOR SHARE
    ), allowed AS MATERIALIZED (
        SELECT 1 AS one
        WHERE coalesce((SELECT is_locked FROM target), true)
            AND ($5::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
    ), changed AS (
        DELETE FROM property p USING allowed
        WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM target) AND p.session_id = $3
            AND p.name = ANY ($4::text[])
        RETURNING p.expires_at
    )
    SELECT (SELECT count(*) FROM changed WHERE expires_at > now()) FROM allowed
    """,
)

# $4 fence. The transaction holds the document's exclusive lock. Returns as DELETE_NAMED.
DELETE_DOCUMENT = Statement.of(
    "delete_document",
    """
    WITH fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1
            AND l.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
            AND l.session_id = $3 AND l.fence = $4::bigint AND l.expires_at > now()
        FOR SHARE
    ), allowed AS MATERIALIZED (
        SELECT 1 AS one WHERE $4::bigint IS NULL OR EXISTS (SELECT 1 FROM fence)
    ), changed AS (
        DELETE FROM property p USING allowed
        WHERE p.account = $1
            AND p.namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
            AND p.session_id = $3
        RETURNING p.expires_at
    )
    SELECT (SELECT count(*) FROM changed WHERE expires_at > now()) FROM allowed
    """,
)

# $4 the name, $5 TTL, $6 is_locked. As TOUCH_NAMED for one property and without a fence, which takes a fifth less of
# PostgreSQL's time. OFFSET 0 keeps the subquery separate, which takes the lock: it is executed once, and first.
TOUCH = Statement.of(
    "touch",
    """
    UPDATE property p
    SET expires_at = place.expires_at,
        purge_at = least(p.purge_at, nullif(place.expires_at, 'infinity'))
    FROM (
        SELECT n.id, coalesce(now() + interval '1 second' * nullif(coalesce($5::integer, (
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds), 0), 'infinity') AS expires_at
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
            AND n.features = 0
            AND CASE WHEN $6::boolean THEN true ELSE pg_try_advisory_xact_lock_shared(
                hashtextextended(n.account || '/' || n.name || '/' || $3, 0)) END
        OFFSET 0
    ) AS place
    WHERE p.account = $1 AND p.namespace_id = place.id AND p.session_id = $3
        AND NOT ccs_has_expired(p.expires_at)
        AND p.name = $4
    """,
)

# $4 the names, $5 TTL, $6 fence, $7 is_locked. Sets the expiry of live properties; values, entity tags
# and `updated_at` stay as they are. It touches nothing if the fence is not in force or the lock is not available; it
# does not wait for the lock, as DELETE_NAMED does not.
TOUCH_NAMED = Statement.of(
    "touch_named",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce($5::integer, (
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
            AND n.features = 0
            AND CASE WHEN $7::boolean THEN true ELSE pg_try_advisory_xact_lock_shared(
                hashtextextended(n.account || '/' || n.name || '/' || $3, 0)) END
    ), fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1 AND l.namespace_id = (SELECT id FROM target) AND l.session_id = $3
            AND l.fence = $6::bigint AND l.expires_at > now()
        FOR SHARE
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE $6::bigint IS NULL OR EXISTS (SELECT 1 FROM fence)
    )
    UPDATE property p
    SET expires_at = place.expires_at,
        purge_at = least(p.purge_at, nullif(place.expires_at, 'infinity'))
    FROM place
    WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM place) AND p.session_id = $3
        AND NOT ccs_has_expired(p.expires_at)
        AND p.name = ANY ($4::text[])
    """,
)

# $4 TTL, $5 fence. The transaction holds the document's exclusive lock. Touches nothing if the fence is not in force.
TOUCH_DOCUMENT = Statement.of(
    "touch_document",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce($4::integer, (
            SELECT s.ttl_seconds FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = $3
        ), n.ttl_seconds) AS ttl
        FROM namespace n
        WHERE n.account = $1 AND n.name = $2
    ), fence AS MATERIALIZED (
        SELECT 1 AS one FROM lease l
        WHERE l.account = $1 AND l.namespace_id = (SELECT id FROM target) AND l.session_id = $3
            AND l.fence = $5::bigint AND l.expires_at > now()
        FOR SHARE
    ), place AS MATERIALIZED (
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE $5::bigint IS NULL OR EXISTS (SELECT 1 FROM fence)
    )
    UPDATE property p
    SET expires_at = place.expires_at,
        purge_at = least(p.purge_at, nullif(place.expires_at, 'infinity'))
    FROM place
    WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM place) AND p.session_id = $3
        AND p.expires_at > now()
    """,
)


class Set(Write, frozen=True, kw_only=True):
    """Saves properties.

    Attributes:
        properties: a JSON object of them.
        count: how many they are.
        value: the value of `name`, if that is the only property: a plain save then takes a faster statement.
        etag: the entity tag of the new value, if it is one property; it becomes part of the outcome.
        ttl: seconds until they expire, 0 for never, KEEP_TTL for the expiry that they have; None for the TTL in force.
    """

    properties: bytes
    count: int
    value: bytes | None = None
    etag: str | None = None
    ttl: int | None = None

    @property
    def creates(self) -> bool:  # noqa: D102 - as its base's
        return self.count > 0

    @property
    def grows(self) -> bool:  # noqa: D102
        return self.count > 0

    def alone(self) -> Sequence[Step]:  # noqa: D102 - as its base's
        if not self.count or (self.conditions and self.name is None):
            return ()
        if not self.conditions and self.ttl is None and self.fence is None:
            if self.name is not None and self.value is not None:
                return [step_of_one(self.document, self.name, self.value)]
            return [(SAVE, (*self.document.params(), self.properties))]
        if self.conditions.if_match is None:
            save = unfenced(SAVE_FULL) if self.fence is None else SAVE_FULL
            return [(save, self._params(is_locked=False))]
        params = (
            *self.document.params(),
            self.properties,
            number(self.ttl),
            tags_parameter(self.conditions.if_match),
            tags_parameter(self.conditions.if_none_match),
            number(self.fence),
        )
        return [(unfenced(SWAP) if self.fence is None else SWAP, params)]

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome | None:  # noqa: D102
        return self._outcome() if results[0].command_tuples == self.count else None

    def locked(self) -> Sequence[Step]:  # noqa: D102
        save = unfenced(SAVE_FULL), self._params(is_locked=True)
        return [*self.judge(), save, (IS_TOO_LARGE, self.document.params())]

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:  # noqa: D102
        _, size = self.check(results)
        check_size(size)
        return self._outcome()

    def _params(self, *, is_locked: bool) -> Params:
        # Under the lock, `judge` has read what conditions and fence are about.
        conditions, fence = (None, None) if is_locked else (self.conditions, self.fence)
        return (
            *self.document.params(),
            self.properties,
            number(self.ttl),
            tags_parameter(conditions.if_none_match) if conditions else None,
            number(fence),
            flag(is_locked),
        )

    def _outcome(self) -> Outcome:
        return {} if self.etag is None else {"etag": self.etag}


class _Several(Write, frozen=True, kw_only=True):
    """An operation on named properties, or on all of a document; its outcome is how many they were.

    Attributes:
        names: the properties; None for all. If `name` is given, it is the only one.
    """

    names: tuple[str, ...] | None = None

    def alone(self) -> Sequence[Step]:
        if self.conditions or self.names == ():
            return ()
        if self.name is not None:
            return [self._step(is_locked=False)]
        statement, params = self._step(is_locked=True)
        return [(LOCK, self.document.params()), (statement.after_waiting(), params)]

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome | None:
        count = self._count(results[-1])
        return None if count is None else {"count": count}

    def locked(self) -> Sequence[Step]:
        return [*self.judge(), self._step(is_locked=True)]

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:
        result, *_ = self.check(results)
        return {"count": self._count(result) or 0}

    def _names(self) -> bytes | None:
        if self.name is not None:
            return text_array((self.name,))
        return None if self.names is None else text_array(self.names)

    def _step(self, *, is_locked: bool) -> Step:
        raise NotImplementedError

    def _count(self, result: PGresult) -> int | None:
        """How many they were; None if that is unknown, because it may not have been allowed to do anything."""
        raise NotImplementedError


class Delete(_Several, frozen=True, kw_only=True):
    """Deletes properties.

    Attributes:
        with_ttl: whether the session's TTL is deleted too.
    """

    with_ttl: bool = False

    def alone(self) -> Sequence[Step]:  # noqa: D102 - as its base's
        return () if self.with_ttl else super().alone()

    def locked(self) -> Sequence[Step]:  # noqa: D102
        steps = [*super().locked()]
        return [*steps, (DELETE_TTL, self.document.params())] if self.with_ttl else steps

    def _step(self, *, is_locked: bool) -> Step:
        address = self.document.params()
        fence = number(self.fence)
        names = self._names()
        if names is None:
            return DELETE_DOCUMENT, (*address, fence)
        return DELETE_NAMED, (*address, names, fence, flag(is_locked))

    def _count(self, result: PGresult) -> int | None:
        return int(result.get_value(0, 0) or 0) if result.ntuples else None


class Touch(_Several, frozen=True, kw_only=True):
    """Gives properties a new expiry.

    Attributes:
        ttl: seconds until they expire, 0 for never; None for the TTL in force.
    """

    ttl: int | None = None

    def _step(self, *, is_locked: bool) -> Step:
        address = self.document.params()
        ttl = number(self.ttl)
        if self.name is not None and self.fence is None:
            return TOUCH, (*address, self.name.encode(), ttl, flag(is_locked))
        fence = number(self.fence)
        names = self._names()
        if names is None:
            return TOUCH_DOCUMENT, (*address, ttl, fence)
        return TOUCH_NAMED, (*address, names, ttl, fence, flag(is_locked))

    def _count(self, result: PGresult) -> int | None:
        is_certain = self.name is None and self.fence is None
        return result.command_tuples or (0 if is_certain else None)
