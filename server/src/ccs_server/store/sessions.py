"""Sets the TTLs of sessions, and lists the sessions that have live properties.

A page of sessions is read with a skip scan of the primary key. So its cost does not depend on how many properties the
sessions have, or on how many sessions follow. A page that begins after a given session id costs the same anywhere in
the list. A page that is requested by number also costs the scan of the properties before it, which is limited to
`list_depth`.
"""

from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import InvalidInput, TooLarge
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.deleting import delete_all_step
from ccs_server.store.document import LOCK, DocumentKey
from ccs_server.store.namespaces import ensure_namespace

PAGE_LIMIT = 32_000_000
"""The maximum size of a page of sessions with their properties, in characters of property data."""

_SET_TTL = Statement.of(
    "set_session_ttl",
    """
    INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
    SELECT account, id, $3, $4::integer FROM namespace WHERE account = $1 AND name = $2
    ON CONFLICT (account, namespace_id, session_id) DO UPDATE
    SET ttl_seconds = excluded.ttl_seconds
    """,
)

DELETE_TTL = Statement.of(
    "delete_session_ttl",
    """
    DELETE FROM session_ttl
    WHERE account = $1
        AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND session_id = $3
    """,
)

# Parameters of the lists: $1 account, $2 namespace, $3 the session id after which the list begins ('' for the
# beginning), $4 how many sessions to skip from there, $5 the maximum number of sessions to return.

_LIST_TTLS = Statement.of(
    "list_session_ttls",
    """
    SELECT coalesce(json_agg(json_build_object(
        'sessionId', s.session_id,
        'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'ttlSecond', s.ttl_seconds
    ) ORDER BY s.session_id), '[]'), count(*)
    FROM (
        SELECT session_id, created_at, ttl_seconds FROM session_ttl
        WHERE account = $1
            AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
            AND session_id > $3
        ORDER BY session_id OFFSET $4::bigint LIMIT $5::bigint
    ) AS s
    """,
)

# `session` finds the sessions of the page with a skip scan: it searches for the first row after each session, so the
# number of properties does not matter.
#
# `stride` skips the sessions before the page. A stride reads a number of rows, counts their sessions, and skips the
# rest of the last one. A skip costs about as much as reading 32 rows (`work`). So strides get longer while sessions
# have fewer rows than that, and shorter while they have more, down to one session per stride. They end where the page
# begins, or when their work exceeds $6; the list is then NULL.

LIST_IDS = Statement.of(
    "list_session_ids",
    """
    WITH RECURSIVE stride AS (
        SELECT id AS namespace_id, $3::text COLLATE "C" AS last,
            0::bigint AS passed, 32 AS rows, 0::bigint AS work
        FROM namespace WHERE account = $1 AND name = $2
        UNION ALL
        SELECT stride.namespace_id, next.last, stride.passed + next.sessions,
            CASE WHEN stride.rows < 32 * next.sessions THEN least(4 * stride.rows, 2048)
                ELSE greatest(stride.rows / 4, 1) END,
            stride.work + stride.rows + 32
        FROM stride CROSS JOIN LATERAL (
            SELECT max(session_id) AS last, count(*) AS sessions FROM (
                SELECT DISTINCT session_id FROM (
                    SELECT p.session_id FROM property p
                    WHERE p.account = $1 AND p.namespace_id = stride.namespace_id
                        AND p.session_id > stride.last AND p.expires_at > now()
                    ORDER BY p.session_id LIMIT stride.rows
                ) AS read
            ) AS found
        ) AS next
        WHERE stride.passed < $4::bigint AND stride.work <= $6::bigint AND next.sessions > 0
    ), start AS MATERIALIZED (
        SELECT namespace_id, last, $4::bigint - passed AS to_pass, work > $6::bigint AS is_too_deep
        FROM stride WHERE passed <= $4::bigint
        ORDER BY passed DESC LIMIT 1
    ), session AS (
        -- LATERAL here too: a join would read and sort the whole namespace for its first row.
        SELECT start.namespace_id, first.session_id
        FROM start CROSS JOIN LATERAL (
            SELECT DISTINCT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = start.namespace_id
                AND p.session_id > start.last AND p.expires_at > now()
            ORDER BY p.session_id OFFSET start.to_pass LIMIT 1
        ) AS first
        WHERE NOT is_too_deep
        UNION ALL
        SELECT session.namespace_id, next.session_id
        FROM session CROSS JOIN LATERAL (
            SELECT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = session.namespace_id
                AND p.session_id > session.session_id AND p.expires_at > now()
            ORDER BY p.session_id LIMIT 1
        ) AS next
    ), page AS MATERIALIZED (
        SELECT session_id FROM session LIMIT $5::bigint
    )
    SELECT CASE WHEN (SELECT is_too_deep FROM start) THEN NULL
        ELSE coalesce(json_agg(session_id ORDER BY session_id), '[]') END
    FROM page
    """,
)

# Returns no row if the page exceeds $7 characters. HAVING is needed because an aggregate alone always returns a row.
LIST_PROPERTIES = Statement.of(
    "list_session_properties",
    """
    WITH RECURSIVE stride AS (
        SELECT id AS namespace_id, $3::text COLLATE "C" AS last,
            0::bigint AS passed, 32 AS rows, 0::bigint AS work
        FROM namespace WHERE account = $1 AND name = $2
        UNION ALL
        SELECT stride.namespace_id, next.last, stride.passed + next.sessions,
            CASE WHEN stride.rows < 32 * next.sessions THEN least(4 * stride.rows, 2048)
                ELSE greatest(stride.rows / 4, 1) END,
            stride.work + stride.rows + 32
        FROM stride CROSS JOIN LATERAL (
            SELECT max(session_id) AS last, count(*) AS sessions FROM (
                SELECT DISTINCT session_id FROM (
                    SELECT p.session_id FROM property p
                    WHERE p.account = $1 AND p.namespace_id = stride.namespace_id
                        AND p.session_id > stride.last AND p.expires_at > now()
                    ORDER BY p.session_id LIMIT stride.rows
                ) AS read
            ) AS found
        ) AS next
        WHERE stride.passed < $4::bigint AND stride.work <= $6::bigint AND next.sessions > 0
    ), start AS MATERIALIZED (
        SELECT namespace_id, last, $4::bigint - passed AS to_pass, work > $6::bigint AS is_too_deep
        FROM stride WHERE passed <= $4::bigint
        ORDER BY passed DESC LIMIT 1
    ), session AS (
        -- LATERAL here too: a join would read and sort the whole namespace for its first row.
        SELECT start.namespace_id, first.session_id
        FROM start CROSS JOIN LATERAL (
            SELECT DISTINCT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = start.namespace_id
                AND p.session_id > start.last AND p.expires_at > now()
            ORDER BY p.session_id OFFSET start.to_pass LIMIT 1
        ) AS first
        WHERE NOT is_too_deep
        UNION ALL
        SELECT session.namespace_id, next.session_id
        FROM session CROSS JOIN LATERAL (
            SELECT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = session.namespace_id
                AND p.session_id > session.session_id AND p.expires_at > now()
            ORDER BY p.session_id LIMIT 1
        ) AS next
    ), page AS MATERIALIZED (
        SELECT namespace_id, session_id FROM session LIMIT $5::bigint
    ), size AS MATERIALIZED (
        SELECT coalesce(sum(p.size), 0) AS size
        FROM page JOIN property p
            ON p.account = $1 AND p.namespace_id = page.namespace_id
            AND p.session_id = page.session_id AND p.expires_at > now()
    )
    SELECT CASE WHEN (SELECT is_too_deep FROM start) THEN NULL
        ELSE coalesce(json_agg(json_build_object(
            'sessionId', page.session_id, 'property', (
                SELECT json_object_agg(p.name, p.value) FROM property p
                WHERE p.account = $1 AND p.namespace_id = page.namespace_id
                    AND p.session_id = page.session_id AND p.expires_at > now()
            )) ORDER BY page.session_id), '[]') END
    FROM page
    WHERE (SELECT size FROM size) <= $7::bigint
    HAVING (SELECT size FROM size) <= $7::bigint
    """,
)


DEEP = 10_000
"""Passing more sessions than this keeps a processor busy for long enough to be felt by others."""

# Every worker and every instance may read one page of an account at a time. Deep pages are read one at a time in all,
# so that an account that asks for many keeps only one of the database's processors busy.
ONE_DEEP_PAGE = Statement.of(
    "one_deep_page", "SELECT pg_advisory_xact_lock(hashtextextended('deep page of ' || $1, 0))"
)


def set_session_ttl(database: Database, document: DocumentKey, ttl: int | None) -> None:
    """Sets the session's TTL in seconds, unless `ttl` is None. Creates its namespace in either case.

    Raises:
        LimitReached: the namespace is new, and the account has the maximum number of namespaces.
    """
    with database.transaction() as connection:
        ensure_namespace(
            connection, document.account, document.namespace, database.settings.namespace_limit
        )
        if ttl is not None:
            connection.execute(_SET_TTL, (*document.params(), b"%d" % ttl))


def list_session_ttls(database: Database, account: str, namespace: str) -> bytes:
    """Returns the sessions that have a TTL, as a JSON array of `{"sessionId","createdAt","ttlSecond"}`.

    Raises:
        TooLarge: there are more than `list_limit` of them.
    """
    limit = database.settings.list_limit
    found = database.execute(_LIST_TTLS, *_params(account, namespace, None, 0, limit + 1))
    if int(found.get_value(0, 1) or 0) > limit:
        raise TooLarge(f"They are more than {limit}; ask for them by page and perPage.")
    return found.get_value(0, 0) or b"[]"


def list_session_ttls_page(  # noqa: PLR0913 - which list, and which page of it
    database: Database,
    account: str,
    namespace: str,
    *,
    page: int,
    per_page: int,
    after: str | None = None,
) -> bytes:
    """Returns one page of the sessions that have a TTL, ordered by session id.

    With `after`, the page begins after that session id, and `page` is ignored.

    Raises:
        InvalidInput: there are more sessions before the page than `list_depth`.
    """
    depth = database.settings.list_depth
    to_pass = 0 if after is not None else page * per_page
    if to_pass > depth:
        params = _params(account, namespace, None, depth, 1)
        deepest = _read_page(database, _LIST_TTLS, params)
        if deepest.get_value(0, 1) != b"0":
            raise _too_deep()
    params = _params(account, namespace, after, min(to_pass, depth), per_page)
    return _read_page(database, _LIST_TTLS, params).get_value(0, 0) or b"[]"


def delete_session(database: Database, document: DocumentKey, by: str = "") -> None:
    """Deletes the session's properties and its TTL. `by` is the credential that does, for the change log."""
    address = document.params()
    database.pipeline((LOCK, address), delete_all_step(document, by), (DELETE_TTL, address))


def list_session_ids(  # noqa: PLR0913 - which list, and which page of it
    database: Database,
    account: str,
    namespace: str,
    *,
    page: int,
    per_page: int,
    after: str | None = None,
) -> bytes:
    """Returns one page of the ids of sessions with live properties, in order, as a JSON array of strings.

    With `after`, the page begins after that session id, and `page` is ignored.

    Raises:
        InvalidInput: there are more properties before the page than `list_depth`.
    """
    to_pass = 0 if after is not None else page * per_page
    params = _params(account, namespace, after, to_pass, per_page)
    limits = (b"%d" % database.settings.list_depth,)
    return _found(_read_page(database, LIST_IDS, params + limits))


def list_session_properties(  # noqa: PLR0913 - which list, and which page of it
    database: Database,
    account: str,
    namespace: str,
    *,
    page: int,
    per_page: int,
    after: str | None = None,
) -> bytes:
    """Returns one page of sessions with their properties, as a JSON array of `{"sessionId","property"}`.

    With `after`, the page begins after that session id, and `page` is ignored.

    Raises:
        InvalidInput: there are more properties before the page than `list_depth`.
        TooLarge: the page would exceed PAGE_LIMIT.
    """
    to_pass = 0 if after is not None else page * per_page
    params = _params(account, namespace, after, to_pass, per_page)
    limits = b"%d" % database.settings.list_depth, b"%d" % PAGE_LIMIT
    result = _read_page(database, LIST_PROPERTIES, params + limits)
    if not result.ntuples:
        raise TooLarge(f"The page is over {PAGE_LIMIT} characters; ask for a smaller perPage.")
    return _found(result)


def _params(
    account: str, namespace: str, after: str | None, to_pass: int, count: int
) -> tuple[bytes, ...]:
    """The first five parameters of a list."""
    begins_after = (after or "").encode()
    return account.encode(), namespace.encode(), begins_after, b"%d" % to_pass, b"%d" % count


def _read_page(database: Database, statement: Statement, params: tuple[bytes, ...]) -> PGresult:
    """Runs the statement of a list; if its page is deep, not beside another deep page of the account."""
    account, _, _, to_pass = params[:4]
    if int(to_pass) <= DEEP:
        return database.execute(statement, *params)
    return database.pipeline((ONE_DEEP_PAGE, (account,)), (statement, params))[-1]


def _found(result: PGresult) -> bytes:
    """Returns the JSON in the result of a list statement.

    Raises:
        InvalidInput: the page is too far into the list.
    """
    found = result.get_value(0, 0)
    if found is None:
        raise _too_deep()
    return found


def _too_deep() -> InvalidInput:
    return InvalidInput(
        "The page is too far into the list; ask for what follows a sessionId that you have, with after.",
        "page",
    )
