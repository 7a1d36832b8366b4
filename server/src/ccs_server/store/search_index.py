"""Which index a namespace has, and filling it.

An index is of a generation, which each change of what is indexed begins. Writes that begin after such a change make
entries of the new generation. A job waits for those that began before, and then makes entries of all other properties:
it overwrites only entries of an earlier generation, so it never undoes what a write has made, and needs no lock. What
is left of earlier generations is deleted at the end.
"""

from msgspec.json import decode
from psycopg.pq.abc import PGresult

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.features import SearchIndex

_READ = Statement.of(
    "read_search_index",
    """
    SELECT coalesce(settings->'index', '[]'), coalesce((settings->>'sortByUpdate')::boolean, false),
        coalesce((settings->>'generation')::integer, 0), coalesce((settings->>'readyGeneration')::integer, 0)
    FROM namespace WHERE account = $1 AND name = $2
    """,
)

# $1 account, $2 namespace, $3 session id and $4 name after which to begin, $5 how many rows, $6 the generation. Returns
# the number of rows and the last one; the number is NULL if the namespace has another generation now.
FILL = Statement.of(
    "job_fill_search_entries",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id, n.features, n.settings FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND (n.settings->>'generation')::integer = $6::integer
    ), batch AS MATERIALIZED (
        SELECT p.session_id, p.name, p.value, p.updated_at FROM property p
        WHERE p.account = $1 AND p.namespace_id = (SELECT id FROM target) AND (p.session_id, p.name) > ($3, $4)
        ORDER BY p.session_id, p.name LIMIT $5::bigint
    ), filled AS (
        INSERT INTO search_entry (account, namespace_id, session_id, name, key, listed_at, generation)
        SELECT $1, t.id, b.session_id, b.name,
            CASE WHEN (t.settings->'index')::jsonb ? b.name THEN ccs_search_key(b.value) END,
            CASE WHEN t.features & 8 = 8 THEN coalesce(b.updated_at, '-infinity') END, $6::integer
        FROM target t, batch b
        WHERE t.features & 8 = 8 OR (t.features & 4 = 4 AND (t.settings->'index')::jsonb ? b.name)
        ORDER BY b.session_id, b.name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET key = excluded.key, listed_at = excluded.listed_at, generation = excluded.generation
        WHERE search_entry.generation < excluded.generation
        RETURNING 1 AS one
    ), last AS MATERIALIZED (
        SELECT session_id, name FROM batch ORDER BY session_id DESC, name DESC LIMIT 1
    )
    SELECT CASE WHEN EXISTS (SELECT 1 FROM target) THEN (SELECT count(*) FROM batch) END,
        (SELECT session_id FROM last), (SELECT name FROM last)
    """,
)

# As FILL, of entries; deletes those of earlier generations.
CLEAN = Statement.of(
    "job_clean_search_entries",
    """
    WITH target AS MATERIALIZED (
        SELECT n.id FROM namespace n
        WHERE n.account = $1 AND n.name = $2 AND (n.settings->>'generation')::integer = $6::integer
    ), batch AS MATERIALIZED (
        SELECT e.session_id, e.name FROM search_entry e
        WHERE e.account = $1 AND e.namespace_id = (SELECT id FROM target) AND (e.session_id, e.name) > ($3, $4)
        ORDER BY e.session_id, e.name LIMIT $5::bigint
    ), last AS MATERIALIZED (
        SELECT session_id, name FROM batch ORDER BY session_id DESC, name DESC LIMIT 1
    ), cleaned AS (
        DELETE FROM search_entry e
        WHERE e.account = $1 AND e.namespace_id = (SELECT id FROM target) AND (e.session_id, e.name) > ($3, $4)
            AND (e.session_id, e.name) <= (SELECT session_id, name FROM last) AND e.generation < $6::integer
    )
    SELECT CASE WHEN EXISTS (SELECT 1 FROM target) THEN (SELECT count(*) FROM batch) END,
        (SELECT session_id FROM last), (SELECT name FROM last)
    """,
)

# $1 account, $2 namespace, $3 the generation that has all entries now.
MARK_READY = Statement.of(
    "job_mark_index_ready",
    """
    UPDATE namespace SET settings = (settings::jsonb || jsonb_build_object('readyGeneration', $3::integer))::json
    WHERE account = $1 AND name = $2 AND (settings->>'generation')::integer = $3::integer
    """,
)


def known_index(database: Database, account: str, namespace: str) -> SearchIndex:
    """Returns the index of a namespace as it was at most two seconds ago.

    So what uses the index must check in its own statement that the namespace has it now.
    """
    index = database.indexes.get((account, namespace))
    return read_index(database, account, namespace) if index is None else index


def read_index(database: Database, account: str, namespace: str) -> SearchIndex:
    """Returns the index of a namespace, which has no names until it is ready, and remembers it."""
    found = database.execute(_READ, account.encode(), namespace.encode())
    index = _index_of(found) if found.ntuples else SearchIndex()
    return database.indexes.put((account, namespace), index)


def _index_of(found: PGresult) -> SearchIndex:
    names, is_sorted, generation, ready = (found.get_value(0, column) or b"" for column in range(4))
    is_ready = generation == ready
    indexed = decode(names, type=frozenset[str]) if is_ready else frozenset()
    return SearchIndex(indexed, is_sorted == b"t", is_ready)
