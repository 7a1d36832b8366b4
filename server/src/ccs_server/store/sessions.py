"""The sessions of a namespace: their TTLs, and listing those that have live properties.

A page is found by skipping through the primary key from session to session, so its cost is the number of sessions
passed over, however many properties they have and however many sessions follow.
"""

from ccs_server.domain.errors import TooLarge
from ccs_server.store.database import Database
from ccs_server.store.deleting import DELETE_ALL
from ccs_server.store.document import NAMESPACE_ID, Document, alone
from ccs_server.store.namespaces import bring_into_being
from ccs_server.store.wire import Statement

PAGE_LIMIT = 32_000_000
"""Characters of property data that one page of sessions with their properties may have."""

_SET_TTL = Statement.of(
    "set_session_ttl",
    """INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
    SELECT account, id, $3, $4::integer FROM namespace WHERE account = $1 AND name = $2
    ON CONFLICT (account, namespace_id, session_id) DO UPDATE
    SET ttl_seconds = excluded.ttl_seconds""",
)

_LIST_TTLS = Statement.of(
    "list_session_ttls",
    f"""SELECT coalesce(json_agg(json_build_object(
        'sessionId', s.session_id,
        'createdAt', to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'ttlSecond', s.ttl_seconds
    ) ORDER BY s.session_id), '[]'), count(*)
    FROM (
        SELECT session_id, created_at, ttl_seconds FROM session_ttl
        WHERE account = $1 AND namespace_id = {NAMESPACE_ID}
        ORDER BY session_id OFFSET $3::bigint LIMIT $4::bigint
    ) AS s""",
)

_DELETE_TTL = Statement.of(
    "delete_session_ttl",
    f"""DELETE FROM session_ttl
    WHERE account = $1 AND namespace_id = {NAMESPACE_ID} AND session_id = $3""",
)

_PAGE = """
    WITH RECURSIVE place AS MATERIALIZED (
        SELECT id FROM namespace WHERE account = $1 AND name = $2
    ), session AS (
        -- LATERAL here too: a join would read and sort the whole namespace for its first row.
        SELECT place.id AS namespace_id, first.session_id
        FROM place CROSS JOIN LATERAL (
            SELECT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = place.id AND p.expires_at > now()
            ORDER BY p.session_id LIMIT 1
        ) AS first
        UNION ALL
        SELECT session.namespace_id, next.session_id
        FROM session CROSS JOIN LATERAL (
            SELECT p.session_id FROM property p
            WHERE p.account = $1 AND p.namespace_id = session.namespace_id
                AND p.session_id > session.session_id AND p.expires_at > now()
            ORDER BY p.session_id LIMIT 1
        ) AS next
    ), page AS MATERIALIZED (
        SELECT namespace_id, session_id FROM session OFFSET $3::bigint LIMIT $4::bigint
    )
"""

LIST_IDS = Statement.of(
    "list_session_ids",
    f"{_PAGE} SELECT coalesce(json_agg(session_id ORDER BY session_id), '[]') FROM page",
)

# No row where the page is over $5 characters; json_agg alone would always give one.
LIST_PROPERTIES = Statement.of(
    "list_session_properties",
    f"""{_PAGE}, size AS MATERIALIZED (
        SELECT coalesce(sum(p.size), 0) AS size
        FROM page JOIN property p
            ON p.account = $1 AND p.namespace_id = page.namespace_id
            AND p.session_id = page.session_id AND p.expires_at > now()
    )
    SELECT coalesce(json_agg(json_build_object(
        'sessionId', page.session_id, 'property', (
            SELECT json_object_agg(p.name, p.value) FROM property p
            WHERE p.account = $1 AND p.namespace_id = page.namespace_id
                AND p.session_id = page.session_id AND p.expires_at > now()
        )) ORDER BY page.session_id), '[]')
    FROM page
    WHERE (SELECT size FROM size) <= $5::bigint
    HAVING (SELECT size FROM size) <= $5::bigint""",
)


def set_session_ttl(database: Database, document: Document, ttl: int | None) -> None:
    """Sets the session's TTL in seconds, unless `ttl` is None; its namespace comes into being either way.

    Raises:
        LimitReached: the namespace is new, and the account has as many as it may have.
    """
    with database.transaction() as wire:
        bring_into_being(wire, document, database.settings.namespace_limit)
        if ttl is not None:
            wire.execute(_SET_TTL, (*document.params(), b"%d" % ttl))


def list_session_ttls(database: Database, account: str, namespace: str) -> bytes:
    """Sessions that have a TTL set, as a JSON array of `{"sessionId","createdAt","ttlSecond"}`.

    Raises:
        TooLarge: they are more than `list_limit`.
    """
    limit = database.settings.list_limit
    params = _page_params(account, namespace, 0, limit + 1)
    result = database.execute(_LIST_TTLS, *params)
    if int(result.get_value(0, 1) or 0) > limit:
        raise TooLarge(f"They are more than {limit}; ask for them by page and perPage.")
    return result.get_value(0, 0) or b"[]"


def list_session_ttls_page(
    database: Database, account: str, namespace: str, *, page: int, per_page: int
) -> bytes:
    """One page of the same, by session id."""
    params = _page_params(account, namespace, page, per_page)
    return database.execute(_LIST_TTLS, *params).get_value(0, 0) or b"[]"


def delete_session(database: Database, document: Document) -> None:
    """Deletes the session's properties and its TTL."""
    with alone(database, document) as wire:
        wire.execute(DELETE_ALL, document.params())
        wire.execute(_DELETE_TTL, document.params())


def list_session_ids(
    database: Database, account: str, namespace: str, *, page: int, per_page: int
) -> bytes:
    """One page of the sessions with live properties, by id, as a JSON array of strings."""
    params = _page_params(account, namespace, page, per_page)
    return database.execute(LIST_IDS, *params).get_value(0, 0) or b"[]"


def list_session_properties(
    database: Database, account: str, namespace: str, *, page: int, per_page: int
) -> bytes:
    """One page of sessions with their properties, as a JSON array of `{"sessionId","property"}`.

    Raises:
        TooLarge: the page would be over PAGE_LIMIT.
    """
    params = _page_params(account, namespace, page, per_page)
    result = database.execute(LIST_PROPERTIES, *params, b"%d" % PAGE_LIMIT)
    if not result.ntuples:
        raise TooLarge(f"The page is over {PAGE_LIMIT} characters; ask for a smaller perPage.")
    return result.get_value(0, 0) or b"[]"


def _page_params(account: str, namespace: str, page: int, per_page: int) -> tuple[bytes, ...]:
    return account.encode(), namespace.encode(), b"%d" % (page * per_page), b"%d" % per_page
