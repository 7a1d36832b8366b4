"""Imports what was exported, or written by hand in the same form. Each request is imported as a whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.json import encode
from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import TooLarge
from ccs_server.domain.limits import MAX_IMPORT_DOCUMENTS
from ccs_server.store.connection import Statement, Step, array_parameter
from ccs_server.store.database import BEGIN, COMMIT, Database
from ccs_server.store.namespaces import limit_reached
from ccs_server.store.operations.base import flag
from ccs_server.store.operations.run import LOCK_DOCUMENTS

# An import locks up to MAX_IMPORT_DOCUMENTS documents, and PostgreSQL's table of locks is shared by all sessions. So
# the imports of an account run one at a time, and those of all accounts four at a time.
ONE_IMPORT = Statement.of(
    "one_import",
    "SELECT pg_advisory_xact_lock(hashtextextended('import ' || (hashtextextended($1, 0) & 3), 0))",
)

# $1 account, $2 a JSON array of {name, ttl}, each name once and no TTL for those that need none, $3 the limit of the
# account, $4 whether to keep TTLs that exist. Returns no row if there would be too many namespaces, else how many TTLs
# it has set.
#
# A namespace that exists is locked, even if nothing of it changes: it cannot be deleted before the transaction ends.
IMPORT_NAMESPACES = Statement.of(
    "import_namespaces",
    """
    WITH given AS MATERIALIZED (
        SELECT name COLLATE "C" AS name, ttl FROM json_to_recordset($2) AS line (name text, ttl integer)
    ), allowed AS MATERIALIZED (
        SELECT 1 FROM (
            SELECT count(*) AS count FROM given WHERE NOT EXISTS (
                SELECT 1 FROM namespace n WHERE n.account = $1 AND n.name = given.name
            )
        ) AS missing
        WHERE missing.count = 0
            OR missing.count + (SELECT count(*) FROM namespace WHERE account = $1) <= $3::bigint
    ), saved AS (
        INSERT INTO namespace (account, name, ttl_seconds)
        SELECT $1, name, coalesce(ttl, 0) FROM given, allowed
        ORDER BY name
        ON CONFLICT (account, name) DO UPDATE SET ttl_seconds = excluded.ttl_seconds
        WHERE NOT $4::boolean
            AND excluded.name = ANY (ARRAY(
                SELECT line->>'name' FROM json_array_elements($2) AS line WHERE line->>'ttl' IS NOT NULL
            ))
        RETURNING name
    )
    SELECT (
        SELECT count(*) FROM saved JOIN given USING (name) WHERE ttl IS NOT NULL
    ) FROM allowed
    """,
)

# $1 account, $2 a JSON array of {ns, session, ttl}, each session once, $3 whether to keep TTLs that exist.
IMPORT_SESSIONS = Statement.of(
    "import_sessions",
    """
    WITH saved AS (
        INSERT INTO session_ttl (account, namespace_id, session_id, ttl_seconds)
        SELECT $1, n.id, line.session, line.ttl
        FROM json_to_recordset($2) AS line (ns text, session text, ttl integer) CROSS JOIN LATERAL (
            SELECT id FROM namespace WHERE account = $1 AND name = line.ns
        ) AS n
        ORDER BY line.ns COLLATE "C", line.session COLLATE "C"
        ON CONFLICT (account, namespace_id, session_id) DO UPDATE
        SET ttl_seconds = excluded.ttl_seconds
        WHERE NOT $3::boolean
        RETURNING 1 AS one
    )
    SELECT one FROM saved
    """,
)

# $1 account, $2 a JSON array of [namespace, session id], the documents; then a line for each property, in columns:
# $3 the index of its document, $4 the names and $5 the values, both as JSON arrays, $6 the expiry, NULL for the TTL in
# force, $7 the time of the last save, NULL if unknown, `infinity` for now; $8 whether to keep properties that exist; $9
# who imports, for the change log (`logged.py`).
# The transaction holds the exclusive locks of the documents. Returns how many lines have not expired, and how many
# properties were saved.
#
# Of several lines for one property, the last takes effect or, if existing properties are kept, the first.
IMPORT_PROPERTIES = Statement.of(
    "import_properties",
    """
    WITH document AS MATERIALIZED (
        SELECT (given.number - 1)::integer AS number, n.id AS namespace_id,
            (given.address->>1) COLLATE "C" AS session_id,
            CASE coalesce((
                SELECT s.ttl_seconds FROM session_ttl s
                WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = given.address->>1
            ), n.ttl_seconds) WHEN 0 THEN 'infinity'::timestamptz
                ELSE statement_timestamp() + interval '1 second' * coalesce((
                    SELECT s.ttl_seconds FROM session_ttl s
                    WHERE s.account = $1 AND s.namespace_id = n.id AND s.session_id = given.address->>1
                ), n.ttl_seconds) END AS expires_at
        FROM json_array_elements($2) WITH ORDINALITY AS given (address, number) CROSS JOIN LATERAL (
            SELECT id, ttl_seconds FROM namespace WHERE account = $1 AND name = given.address->>0
        ) AS n
    ), line AS MATERIALIZED (
        SELECT document.namespace_id, document.session_id, given.name COLLATE "C" AS name, given.value,
            char_length(to_json(given.name)::text) + char_length(given.value::text) + 2 AS size,
            coalesce(given.expires_at, document.expires_at) AS expires_at,
            CASE WHEN given.updated_at IS NOT NULL
                THEN least(given.updated_at, statement_timestamp()) END AS updated_at,
            CASE WHEN $8::boolean THEN given.number ELSE -given.number END AS rank
        FROM ROWS FROM (
            unnest($3::integer[]), json_array_elements_text($4), json_array_elements($5),
            unnest($6::timestamptz[]), unnest($7::timestamptz[])
        ) WITH ORDINALITY AS given (document, name, value, expires_at, updated_at, number)
        JOIN document ON document.number = given.document
        WHERE coalesce(given.expires_at, document.expires_at) > statement_timestamp()
    ), saved AS (
        INSERT INTO property
            (account, namespace_id, session_id, name, value, size, expires_at, purge_at, updated_at)
        SELECT DISTINCT ON (namespace_id, session_id, name) $1, namespace_id, session_id, name, value,
            size, expires_at, nullif(expires_at, 'infinity'), updated_at
        FROM line
        ORDER BY namespace_id, session_id, name, rank
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET value = excluded.value, size = excluded.size, expires_at = excluded.expires_at,
            purge_at = least(property.purge_at, excluded.purge_at), updated_at = excluded.updated_at
        WHERE NOT $8::boolean OR ccs_has_expired(property.expires_at)
        RETURNING namespace_id, session_id, name, value, size, expires_at, updated_at
    ), entered AS (
        INSERT INTO search_entry (account, namespace_id, session_id, name, key, listed_at, generation)
        SELECT $1, n.id, saved.session_id, saved.name,
            CASE WHEN (n.settings->'index')::jsonb ? saved.name THEN ccs_search_key(saved.value) END,
            CASE WHEN n.features & 8 = 8 THEN coalesce(saved.updated_at, '-infinity') END,
            (n.settings->>'generation')::integer
        FROM saved CROSS JOIN LATERAL (
            SELECT n.id, n.features, n.settings FROM namespace n
            WHERE n.account = $1 AND n.id = saved.namespace_id AND n.features & 12 <> 0
        ) AS n
        WHERE n.features & 8 = 8 OR (n.settings->'index')::jsonb ? saved.name
        ORDER BY saved.session_id, saved.name
        ON CONFLICT (account, namespace_id, session_id, name) DO UPDATE
        SET key = excluded.key, listed_at = excluded.listed_at, generation = excluded.generation
        RETURNING 1 AS one
    ), logged AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, actor, keep_seconds, expires_at, value, size,
            etag)
        SELECT $1, n.id, n.name, saved.session_id, saved.name, 'property.set', statement_timestamp(),
            nullif($9::text, ''), coalesce((n.settings->>'keepChanges')::integer, 604800), saved.expires_at,
            CASE WHEN n.features & 2 = 2 THEN saved.value END, CASE WHEN n.features & 2 = 2 THEN saved.size END,
            ccs_etag(saved.value)
        FROM saved CROSS JOIN LATERAL (
            SELECT n.id, n.name, n.features, n.settings FROM namespace n
            WHERE n.account = $1 AND n.id = saved.namespace_id AND n.features & 1 = 1
        ) AS n
    )
    SELECT (SELECT count(*) FROM line), (SELECT count(*) FROM saved)
    """,
)

# $1 account, $2 the documents as above. Returns the index of the first that exceeds its limit (contract, section 1).
FIND_TOO_LARGE = Statement.of(
    "find_too_large",
    """
    SELECT min(given.number) - 1
    FROM json_array_elements($2) WITH ORDINALITY AS given (address, number) CROSS JOIN LATERAL (
        SELECT id FROM namespace WHERE account = $1 AND name = given.address->>0
    ) AS n CROSS JOIN LATERAL (
        SELECT sum(p.size) AS size FROM property p
        WHERE p.account = $1 AND p.namespace_id = n.id AND p.session_id = given.address->>1
            AND p.expires_at > statement_timestamp()
    ) AS stored
    WHERE stored.size >= 800000
    """,
)

_INFINITY = b"infinity"
_NULL = b"NULL"


@dataclass
class Import:
    """What to import, collected line by line.

    Attributes:
        account: the account.
        keep: whether TTLs and properties that exist stay as they are.
        count: how many lines were added.
        properties: how many of them are properties.
    """

    account: str
    keep: bool
    count: int = 0
    properties: int = 0
    # Each namespace with its TTL, None for those that have no line of their own.
    _namespaces: dict[str, int | None] = field(default_factory=dict)
    _sessions: dict[tuple[str, str], int] = field(default_factory=dict)
    # The index of each document, and the first line of each.
    _documents: dict[tuple[str, str], int] = field(default_factory=dict)
    _first_lines: list[int] = field(default_factory=list)
    # What the properties consist of, as parameters of IMPORT_PROPERTIES.
    _addresses: list[int] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _values: list[bytes] = field(default_factory=list)
    _expiries: list[bytes] = field(default_factory=list)
    _saves: list[bytes] = field(default_factory=list)

    def add_namespace(self, namespace: str, ttl: int) -> None:
        """Adds a namespace with its TTL in seconds."""
        self.count += 1
        if not self.keep or self._namespaces.get(namespace) is None:
            self._namespaces[namespace] = ttl

    def add_session(self, namespace: str, session_id: str, ttl: int) -> None:
        """Adds the TTL of a session, in seconds."""
        self.count += 1
        self._namespaces.setdefault(namespace, None)
        if not self.keep or (namespace, session_id) not in self._sessions:
            self._sessions[namespace, session_id] = ttl

    def find_document(self, namespace: str, session_id: str) -> int | None:
        """Returns the index of a document that has properties here; None if it has none yet."""
        return self._documents.get((namespace, session_id))

    def add_document(self, namespace: str, session_id: str, line: int) -> int:
        """Adds a document whose first property is in this line, and returns its index.

        Raises:
            TooLarge: there are too many already.
        """
        index = len(self._documents)
        if index == MAX_IMPORT_DOCUMENTS:
            raise TooLarge(
                f"A request imports properties of at most {MAX_IMPORT_DOCUMENTS} sessions; send fewer lines.",
                line=line,
            )
        self._namespaces.setdefault(namespace, None)
        self._documents[namespace, session_id] = index
        self._first_lines.append(line)
        return index

    def add_property(
        self,
        document: int,
        name: str,
        value: bytes,
        expires_at: datetime | UnsetType | None,
        updated_at: datetime | UnsetType | None,
    ) -> None:
        """Adds a property.

        Args:
            document: the index of its document.
            name: its name.
            value: a JSON text.
            expires_at: its expiry; None for never, UNSET for the TTL in force.
            updated_at: when it was last saved; None if that is unknown, UNSET for now.
        """
        self.count += 1
        self.properties += 1
        self._addresses.append(document)
        self._names.append(name)
        self._values.append(value)
        self._expiries.append(
            _NULL
            if expires_at is UNSET
            else _INFINITY
            if expires_at is None
            else _moment(expires_at)
        )
        self._saves.append(
            _INFINITY
            if updated_at is UNSET
            else _NULL
            if updated_at is None
            else _moment(updated_at)
        )

    def steps(self, namespace_limit: int, by: str = "") -> list[Step]:
        """The steps that import all of this in a transaction. `by` is the credential that does, for the change log."""
        account, keep = self.account.encode(), flag(self.keep)
        namespaces = encode([{"name": name, "ttl": ttl} for name, ttl in self._namespaces.items()])
        documents = encode(list(self._documents))
        steps: list[Step] = [
            (ONE_IMPORT, (account,)),
            (LOCK_DOCUMENTS, (account, documents)),
            (IMPORT_NAMESPACES, (account, namespaces, b"%d" % namespace_limit, keep)),
        ]
        sessions = encode(
            [
                {"ns": ns, "session": session, "ttl": ttl}
                for (ns, session), ttl in self._sessions.items()
            ]
        )
        steps.append((IMPORT_SESSIONS, (account, sessions, keep)))
        columns = (
            array_parameter([b"%d" % index for index in self._addresses]),
            encode(self._names),
            b"[%b]" % b",".join(self._values),
            array_parameter(self._expiries),
            array_parameter(self._saves),
        )
        steps.append((IMPORT_PROPERTIES, (account, documents, *columns, keep, by.encode())))
        steps.append((FIND_TOO_LARGE, (account, documents)))
        return steps

    def outcome(self, results: Sequence[PGresult], namespace_limit: int) -> "Imported":
        """What came of the steps.

        Raises:
            LimitReached: the account would have too many namespaces; the transaction must be rolled back.
            TooLarge: a document would exceed its limit; the transaction must be rolled back.
        """
        namespaces, sessions, properties, too_large = results[-4:]
        if not namespaces.ntuples:
            raise limit_reached(namespace_limit)
        index = too_large.get_value(0, 0)
        if index is not None:
            raise TooLarge("document too large", line=self._first_lines[int(index)])
        live, saved = (int(properties.get_value(0, column) or 0) for column in range(2))
        if self.keep:
            saved += int(namespaces.get_value(0, 0) or 0) + (sessions.command_tuples or 0)
        else:
            saved = self.count - self.properties + live
        return Imported(saved, self.count - saved)


class Imported(NamedTuple):
    """How many lines were saved, and how many were skipped: what has expired, or is kept as it was."""

    saved: int
    skipped: int


def import_all(database: Database, given: Import, by: str = "") -> Imported:
    """Imports as one transaction. `by` is the credential that does, for the change log.

    Raises:
        LimitReached: the account would have too many namespaces; nothing is imported.
        TooLarge: a document would exceed its limit; nothing is imported. Its member `line` is a line of the document.
        InvalidInput: a value cannot be stored; nothing is imported.
    """
    if not given.count:
        return Imported(0, 0)
    limit = database.settings.namespace_limit
    with database.pipelined_transaction() as connection:
        results = connection.pipeline((BEGIN, ()), *given.steps(limit, by))
        imported = given.outcome(results, limit)
        connection.execute(COMMIT)
    return imported


def _moment(moment: datetime) -> bytes:
    return moment.isoformat().encode()
