"""Changes a part of a value: adds to a number, appends to an array, merges into an object.

Each is one statement whose row is changed in its newest version, so concurrent changes add up. Numbers that are not
changed keep their digits, because values are `json` and never become `jsonb`.
"""

from collections.abc import Sequence

import msgspec
from psycopg.pq.abc import PGresult

from ccs_server.domain.conditions import etag_of
from ccs_server.domain.errors import Conflict
from ccs_server.store.connection import Statement, Step
from ccs_server.store.operations.base import (
    IS_TOO_LARGE,
    Outcome,
    Write,
    check_size,
    flag,
    number,
    unfenced,
)

# The statements below have these parameters: $1 account, $2 namespace, $3 session id, $4 the name, $5 what is added, $6
# TTL in seconds, 0 for never and NULL for the TTL in force, $7 fence, $8 is_locked: whether the transaction holds the
# document's exclusive lock. Without it they take the lock in shared mode, and refuse as `SAVE` does if the document may
# become too large. They return the new value, or APPEND its length; or no row if they have changed nothing, also if the
# stored value is not of the type that they need. The insertion is not the outermost part, because Citus would then
# execute it in several steps.
#
# The expiry of the row, which they may have waited for, is judged by the time of that moment (`ccs_has_expired`).
# `now()` is when they began. An `excluded.size` less the length of its value is what the name adds to the document.

# $5 is a number in decimal notation.
INCREMENT = Statement.of(
    "increment",
    r"""
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce($6::integer, (
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
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE ($7::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
            AND ($8::boolean OR 64 * (2000 + char_length($4)) + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                    AND p.expires_at > now()
            ) < 800000)
    ), changed AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT $1, place.id, $3, $4, ($5::numeric)::text::json,
            char_length(to_json($4::text)::text) + char_length(($5::numeric)::text) + 2,
            expires_at, nullif(expires_at, 'infinity'), now()
        FROM place
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET (value, size) = (
                SELECT sum::json, excluded.size - char_length(excluded.value::text) + char_length(sum)
                FROM (SELECT ($5::numeric + CASE WHEN NOT ccs_has_expired(property.expires_at)
                    THEN property.value::text::numeric ELSE 0 END)::text AS sum) AS added
            ),
            expires_at = excluded.expires_at, updated_at = excluded.updated_at,
            purge_at = least(property.purge_at, excluded.purge_at)
        WHERE ccs_has_expired(property.expires_at)
            OR property.value::text ~ '^-?[0-9]+([.][0-9]+)?([eE][+-]?0*(100|[0-9]{1,2}))?$'
                AND char_length(regexp_replace(property.value::text, '[eE].*|[-.]', '', 'g')) <= 100
        RETURNING value
    )
    SELECT value FROM changed
    """,
)

# $5 is a JSON array; $9 is how many of the last elements to keep, NULL for all.
APPEND = Statement.of(
    "append",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce($6::integer, (
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
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE ($7::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
            AND ($8::boolean OR 64 * (char_length($4) + char_length($5)) + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                    AND p.expires_at > now()
            ) < 800000)
    ), kept AS MATERIALIZED (
        SELECT CASE WHEN $9::integer IS NULL OR json_array_length($5::json) <= $9::integer THEN $5
            ELSE (SELECT '[' || string_agg(value::text, ',' ORDER BY place) || ']' FROM (
                SELECT value, place FROM json_array_elements($5::json) WITH ORDINALITY AS e (value, place)
                ORDER BY place DESC LIMIT $9::integer
            ) AS last) END AS elements
    ), changed AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT $1, place.id, $3, $4, elements::json,
            char_length(to_json($4::text)::text) + char_length(elements) + 2,
            expires_at, nullif(expires_at, 'infinity'), now()
        FROM place, kept
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET (value, size) = (
                SELECT elements::json,
                    excluded.size - char_length(excluded.value::text) + char_length(elements)
                FROM (
                    SELECT CASE
                        WHEN ccs_has_expired(property.expires_at) OR json_array_length(property.value) = 0
                            THEN excluded.value::text
                        WHEN $9::integer IS NULL OR json_array_length(property.value)
                            + json_array_length(excluded.value) <= $9::integer
                            THEN left(property.value::text, -1) || ',' || substr(excluded.value::text, 2)
                        WHEN json_array_length(excluded.value) >= $9::integer THEN excluded.value::text
                        ELSE (SELECT '[' || string_agg(value::text, ',' ORDER BY place) || ','
                            FROM (
                                SELECT value, place
                                FROM json_array_elements(property.value) WITH ORDINALITY AS e (value, place)
                                OFFSET greatest(json_array_length(property.value)
                                    + json_array_length(excluded.value) - $9::integer, 0)
                            ) AS last) || substr(excluded.value::text, 2)
                        END AS elements
                ) AS joined
            ),
            expires_at = excluded.expires_at, updated_at = excluded.updated_at,
            purge_at = least(property.purge_at, excluded.purge_at)
        WHERE ccs_has_expired(property.expires_at) OR json_typeof(property.value) = 'array'
        RETURNING value
    )
    SELECT json_array_length(value) FROM changed
    """,
)

# $5 is a JSON value, the patch (RFC 7396). Where there is nothing yet, one without `null` is itself the new value.
MERGE = Statement.of(
    "merge",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, coalesce($6::integer, (
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
        SELECT id, CASE WHEN ttl = 0 THEN 'infinity'::timestamptz
            ELSE now() + ttl * interval '1 second' END AS expires_at
        FROM target
        WHERE ($7::bigint IS NULL OR EXISTS (SELECT 1 FROM fence))
            AND ($8::boolean OR 64 * (char_length($4) + char_length($5)) + (
                SELECT coalesce(sum(p.size), 0) FROM property p
                WHERE p.account = $1 AND p.namespace_id = target.id AND p.session_id = $3
                    AND p.expires_at > now()
            ) < 800000)
    ), made AS MATERIALIZED (
        SELECT CASE WHEN strpos($5, 'null') = 0 THEN $5::json
            ELSE ccs_merge(NULL, $5::json) END AS value
    ), changed AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT $1, place.id, $3, $4, value,
            char_length(to_json($4::text)::text) + char_length(value::text) + 2,
            expires_at, nullif(expires_at, 'infinity'), now()
        FROM place, made
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET (value, size) = (
                SELECT merged, excluded.size - char_length(excluded.value::text) + char_length(merged::text)
                FROM (SELECT CASE WHEN NOT ccs_has_expired(property.expires_at)
                    THEN ccs_merge(property.value, $5::json) ELSE excluded.value END AS merged) AS m
            ),
            expires_at = excluded.expires_at, updated_at = excluded.updated_at,
            purge_at = least(property.purge_at, excluded.purge_at)
        RETURNING value
    )
    SELECT value FROM changed
    """,
)


class _Partial(Write, frozen=True, kw_only=True):
    """An operation on a part of one property's value.

    Attributes:
        name: the property.
        ttl: seconds until it expires, 0 for never; None for the TTL in force.
    """

    name: str
    ttl: int | None = None

    @property
    def creates(self) -> bool:
        return True

    @property
    def grows(self) -> bool:
        return True

    def alone(self) -> Sequence[Step]:
        if self.conditions:
            return ()
        statement, params = self._step(is_locked=False)
        return [(unfenced(statement) if self.fence is None else statement, params)]

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome | None:
        return self._outcome(results[0]) if results[0].ntuples else None

    def locked(self) -> Sequence[Step]:
        size = IS_TOO_LARGE, self.document.params()
        statement, params = self._step(is_locked=True)
        return [*self.judge(), (unfenced(statement), params), size]

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:
        result, size = self.check(results)
        if not result.ntuples:
            raise self._conflict()
        check_size(size)
        return self._outcome(result)

    def _params(self, argument: bytes, *, is_locked: bool) -> tuple[bytes | None, ...]:
        return (
            *self.document.params(),
            self.name.encode(),
            argument,
            number(self.ttl),
            None if is_locked else number(self.fence),
            flag(is_locked),
        )

    def _step(self, *, is_locked: bool) -> Step:
        raise NotImplementedError

    def _outcome(self, result: PGresult) -> Outcome:
        raise NotImplementedError

    def _conflict(self) -> Conflict:
        raise NotImplementedError


class Increment(_Partial, frozen=True, kw_only=True):
    """Adds a number, `by` in decimal notation, to a number; its outcome is the sum."""

    by: str = "1"

    def _step(self, *, is_locked: bool) -> Step:
        return INCREMENT, self._params(self.by.encode(), is_locked=is_locked)

    def _outcome(self, result: PGresult) -> Outcome:
        return {"value": msgspec.Raw(result.get_value(0, 0) or b"")}

    def _conflict(self) -> Conflict:
        return Conflict(
            "The property is no number of at most 100 digits with an exponent within ±100; set it first."
        )


class Append(_Partial, frozen=True, kw_only=True):
    """Appends to an array; its outcome is the new length.

    Attributes:
        values: a JSON array of the elements to append.
        keep: how many of the last elements to keep; None for all.
    """

    values: bytes
    keep: int | None = None

    def _step(self, *, is_locked: bool) -> Step:
        return APPEND, (*self._params(self.values, is_locked=is_locked), number(self.keep))

    def _outcome(self, result: PGresult) -> Outcome:
        return {"length": int(result.get_value(0, 0) or 0)}

    def _conflict(self) -> Conflict:
        return Conflict("The property is no array, so nothing can be appended; set it first.")


class Merge(_Partial, frozen=True, kw_only=True):
    """Merges a patch, a JSON value, into a value as RFC 7396 says; its outcome is the new entity tag."""

    patch: bytes

    def _step(self, *, is_locked: bool) -> Step:
        return MERGE, self._params(self.patch, is_locked=is_locked)

    def _outcome(self, result: PGresult) -> Outcome:
        return {"etag": etag_of(result.get_value(0, 0) or b"")}

    def _conflict(self) -> Conflict:
        return Conflict("The property cannot be merged into now; try again.", retry_after=1)
