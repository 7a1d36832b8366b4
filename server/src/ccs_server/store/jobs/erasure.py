"""Erases what is stored of a person or a thing: its properties, times to live, leases, history and stored responses.

It goes through all that an account stores, in the order of the primary keys: first, namespace by namespace, the
properties and the sessions that have only a time to live or a lease; then the change log; then the stored responses.
What is found is deleted under the lock of its document. What was committed before the job began is in the snapshot of
every statement here, so it is found, wherever it is then.
"""

from typing import Literal

from msgspec import Struct, field
from msgspec.json import Decoder, encode
from psycopg.pq.abc import PGresult

from ccs_server.domain.names import DEFAULT_SESSION
from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.jobs import taking
from ccs_server.store.jobs.estimating import estimate
from ccs_server.store.jobs.matching import Match, patterns_of
from ccs_server.store.jobs.run import Claim, Counts, number_in, text_in
from ccs_server.store.jobs.taking import Namespace
from ccs_server.store.operations.base import flag
from ccs_server.store.sequencing import sequence_within

EXAMINED_AT_ONCE = 1000
"""The number of rows that one statement examines."""

_CHARACTERS_AT_ONCE = 4_000_000
"""A statement examines fewer rows if their values exceed this."""

_AFTER_ALL_NAMES = chr(0x10FFFF) * 257

# A row is found by these: the id of its session, and its name or its value.
_IS_SESSION = "{row}.session_id LIKE ANY (ARRAY(SELECT json_array_elements_text({sessions})))"
# The text of a value without escapes. All of it is made one JSON string, and that is decoded: this takes a tenth of the
# time that it takes to decode each of its strings.
_UNESCAPED = r"""(('"' || replace(replace(replace(replace(replace(replace({row}.value::text, '\\', '\u005c'),
                        '\"', '"'), '"', '\u0022'), E'\n', ' '), E'\r', ' '), E'\t', ' ') || '"')::json #>> '{{}}')"""
_IS_HIT = f"""({{row}}.name LIKE ANY (ARRAY(SELECT json_array_elements_text({{names}})))
                OR ({{row}}.value::text LIKE ANY (ARRAY(SELECT json_array_elements_text({{texts}})))
                    AND {_UNESCAPED} LIKE ANY (ARRAY(SELECT '%' || json_array_elements_text({{values}}) || '%'))
                    AND ccs_has_string({{row}}.value, ARRAY(SELECT json_array_elements_text({{values}})))))"""

# $1 account, $2 the last namespace id, $3 a JSON array of the only namespaces to look in, or NULL.
NEXT_NAMESPACE = Statement.of(
    "job_next_namespace",
    """
    SELECT min(id) FROM (
        (SELECT p.namespace_id AS id FROM property p
            WHERE p.account = $1 AND p.namespace_id > $2::bigint AND $3::json IS NULL
            ORDER BY p.namespace_id LIMIT 1)
        UNION ALL (SELECT s.namespace_id FROM session_ttl s
            WHERE s.account = $1 AND s.namespace_id > $2::bigint AND $3::json IS NULL
            ORDER BY s.namespace_id LIMIT 1)
        UNION ALL (SELECT l.namespace_id FROM lease l
            WHERE l.account = $1 AND l.namespace_id > $2::bigint AND $3::json IS NULL
            ORDER BY l.namespace_id LIMIT 1)
        UNION ALL (SELECT n.id FROM namespace n
            WHERE n.account = $1 AND n.id > $2::bigint
                AND n.name = ANY (ARRAY(SELECT json_array_elements_text($3::json))))
    ) AS next
    """,
)

# $1 account, $2 namespace id, $3 session id and $4 name after which to begin, $5 EXAMINED_AT_ONCE, $6 the maximum of
# their characters, $7 to $10 what to look for. Returns the number of rows, the last one, whether it was the last of
# all, and of each session with hits: its id, whether that is one, how many properties are,
# and how many there are.
SCAN = Statement.of(
    "job_scan_properties",
    f"""
    WITH batch AS MATERIALIZED (
        SELECT p.*, sum(p.size) OVER (
            ORDER BY p.session_id, p.name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (
            SELECT p.session_id, p.name, p.value, p.size FROM property p
            WHERE p.account = $1 AND p.namespace_id = $2::bigint AND (p.session_id, p.name) > ($3, $4)
            ORDER BY p.session_id, p.name LIMIT $5::bigint
        ) AS p
    ), examined AS MATERIALIZED (
        SELECT b.session_id, b.name,
            {_IS_SESSION.format(row="b", sessions="$7")} AS is_session,
            {_IS_HIT.format(row="b", names="$8", values="$9", texts="$10")} AS is_hit
        FROM batch b WHERE coalesce(b.before, 0) <= $6::bigint
    ), last AS MATERIALIZED (
        SELECT session_id, name FROM examined ORDER BY session_id DESC, name DESC LIMIT 1
    ), found AS (
        SELECT session_id, bool_or(is_session) AS is_session,
            count(*) FILTER (WHERE is_hit) AS hits, count(*) AS properties
        FROM examined GROUP BY session_id HAVING bool_or(is_session OR is_hit)
    )
    SELECT (SELECT count(*) FROM examined), (SELECT session_id FROM last), (SELECT name FROM last),
        (SELECT count(*) FROM batch) < $5::bigint
            AND (SELECT count(*) FROM batch) = (SELECT count(*) FROM examined),
        (SELECT coalesce(json_agg(json_build_array(session_id, is_session, hits, properties) ORDER BY session_id), '[]')
            FROM found)
    """,
)

# $1 account, $2 namespace id, $3 session id, $4 taking.BATCH, $5 the job, $6 actor, $7 to $9 what to look for. Returns
# the number of properties, whether they are logged, and the number of changes. A change that has the entity tag of a
# deleted value could be guessed from it, though the log does not have the value.
ERASE_PROPERTIES = Statement.of(
    "job_erase_properties",
    f"""
    WITH place AS MATERIALIZED (
        SELECT n.id, n.name, n.features & 1 = 1 AS logs,
            least(coalesce((n.settings->>'keepChanges')::integer, 604800), 86400) AS keep
        FROM namespace n WHERE n.account = $1 AND n.id = $2::bigint
    ), deleted AS (
        DELETE FROM property p
        WHERE p.account = $1 AND p.namespace_id = $2::bigint AND p.session_id = $3 AND p.name = ANY (ARRAY(
            SELECT o.name FROM property o
            WHERE o.account = $1 AND o.namespace_id = $2::bigint AND o.session_id = $3
                AND {_IS_HIT.format(row="o", names="$7", values="$8", texts="$9")}
            ORDER BY o.name LIMIT $4::bigint
        ))
        RETURNING p.name, p.expires_at, ccs_etag(p.value) AS etag
    ), left_index AS (
        DELETE FROM search_entry e
        WHERE e.account = $1 AND e.namespace_id = $2::bigint AND e.session_id = $3
            AND e.name = ANY (ARRAY(SELECT deleted.name FROM deleted))
    ), logged AS (
        INSERT INTO change_new
            (account, namespace_id, ns, session_id, name, type, made_at, actor, keep_seconds, erasure)
        SELECT $1, place.id, place.name, $3, deleted.name,
            CASE WHEN deleted.expires_at > statement_timestamp() THEN 'property.deleted' ELSE 'property.expired' END,
            statement_timestamp(), nullif($6::text, ''), place.keep, $5
        FROM place, deleted WHERE place.logs
    ), forgotten AS (
        DELETE FROM change c USING deleted
        WHERE c.account = $1 AND c.ns = (SELECT name FROM place) AND c.session_id = $3 AND c.name = deleted.name
            AND c.etag = deleted.etag AND c.erasure IS NULL
        RETURNING 1 AS one
    )
    SELECT (SELECT count(*) FROM deleted), EXISTS (SELECT 1 FROM place WHERE logs), (SELECT count(*) FROM forgotten)
    """,
)

# $1 account, $2 namespace id, $3 the session id after which to begin, $4 EXAMINED_AT_ONCE, $5 patterns, $6 whether to
# leave out those that have properties, which were counted already. Returns how many there were, the last one, and a
# JSON array of those that are hits.
_SCAN_SESSIONS = """
    WITH batch AS MATERIALIZED (
        SELECT t.session_id FROM {table} t
        WHERE t.account = $1 AND t.namespace_id = $2::bigint AND t.session_id > $3
        ORDER BY t.session_id LIMIT $4::bigint
    )
    SELECT (SELECT count(*) FROM batch), (SELECT max(session_id) FROM batch),
        (SELECT coalesce(json_agg(session_id ORDER BY session_id), '[]') FROM batch b
            WHERE {is_session} AND NOT ($6::boolean AND (EXISTS (
                SELECT 1 FROM property p
                WHERE p.account = $1 AND p.namespace_id = $2::bigint AND p.session_id = b.session_id
            ){counted})))
    """
SCAN_TTLS = Statement.of(
    "job_scan_ttls",
    _SCAN_SESSIONS.format(
        table="session_ttl", is_session=_IS_SESSION.format(row="b", sessions="$5"), counted=""
    ),
)
SCAN_LEASES = Statement.of(
    "job_scan_leases",
    _SCAN_SESSIONS.format(
        table="lease",
        is_session=_IS_SESSION.format(row="b", sessions="$5"),
        counted=""" OR EXISTS (
                SELECT 1 FROM session_ttl s
                WHERE s.account = $1 AND s.namespace_id = $2::bigint AND s.session_id = b.session_id
            )""",
    ),
)

# $1 account, $2 the position after which to begin, $3 the last one, $4 EXAMINED_AT_ONCE, $5 the maximum of their
# characters, $6 namespaces or NULL, $7 to $11 what to look for.
_CHANGES = f"""
    WITH batch AS MATERIALIZED (
        SELECT c.*, sum(c.size) OVER (ORDER BY c.pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (
            SELECT c.pos, c.ns, c.session_id, c.name, c.value, c.size, c.etag, c.erasure FROM change c
            WHERE c.account = $1 AND c.pos > $2::bigint AND c.pos <= $3::bigint
            ORDER BY c.pos LIMIT $4::bigint
        ) AS c
    ), examined AS MATERIALIZED (
        SELECT b.pos, b.ns, b.session_id, b.erasure IS NULL AS is_examined, b.erasure IS NULL
            AND ($6::json IS NULL OR b.ns = ANY (ARRAY(SELECT json_array_elements_text($6::json))))
            AND coalesce({_IS_SESSION.format(row="b", sessions="$7")}
                OR {_IS_HIT.format(row="b", names="$8", values="$9", texts="$10")}
                OR b.etag = ANY (ARRAY(SELECT json_array_elements_text($11))), false) AS is_hit
        FROM batch b WHERE coalesce(b.before, 0) <= $5::bigint
    )"""

# Returns the number of events but those of erasures, the last position (NULL: there is none), and the number of those
# that were erased.
ERASE_CHANGES = Statement.of(
    "job_erase_changes",
    f"""{_CHANGES}, erased AS (
        DELETE FROM change c
        WHERE c.account = $1 AND c.pos = ANY (ARRAY(SELECT pos FROM examined WHERE is_hit))
        RETURNING 1 AS one
    )
    SELECT (SELECT count(*) FROM examined WHERE is_examined), (SELECT max(pos) FROM examined),
        (SELECT count(*) FROM erased)
    """,
)

# As ERASE_CHANGES, but only counts. $12 says whether sessions are erased whole; what the log has of such a session was
# counted with it.
COUNT_CHANGES = Statement.of(
    "job_count_changes",
    f"""{_CHANGES}
    SELECT (SELECT count(*) FROM examined WHERE is_examined), (SELECT max(pos) FROM examined),
        (SELECT count(*) FROM examined e WHERE e.is_hit AND NOT EXISTS (
            SELECT 1 FROM property p
            WHERE p.account = $1 AND p.session_id = e.session_id AND p.namespace_id = (
                SELECT n.id FROM namespace n WHERE n.account = $1 AND n.name = e.ns
            ) AND ({_IS_SESSION.format(row="p", sessions="$7")}
                OR ($12::boolean AND {_IS_HIT.format(row="p", names="$8", values="$9", texts="$10")}))
        ))
    """,
)

# $1 account, $2 credential and $3 the hash of the key after which to begin, $4 EXAMINED_AT_ONCE, $5 namespaces or NULL,
# $6 to $9 what to look for, $10 when the job began; NULL if it looks for the ids of sessions alone. Returns the number
# of responses and the last one.
#
# A response has what was read or saved, or its entity tag. If it is older than the job and tells of something of which
# nothing older is left now, that may be because it was erased. What stays of a response is that it was successful: the
# request must not take place again.
STRIP_RESPONSES = Statement.of(
    "job_strip_responses",
    """
    WITH batch AS MATERIALIZED (
        SELECT r.credential, r.key_hash, r.body, r.created_at, r.addresses FROM idempotent_response r
        WHERE r.account = $1 AND (r.credential, r.key_hash) > ($2, $3::bytea)
        ORDER BY r.credential, r.key_hash LIMIT $4::bigint
    ), hit AS MATERIALIZED (
        SELECT b.credential, b.key_hash FROM batch b
        WHERE b.addresses IS NOT NULL AND EXISTS (
            SELECT 1 FROM json_array_elements(b.addresses) AS a
            WHERE ($5::json IS NULL OR a->>0 = ANY (ARRAY(SELECT json_array_elements_text($5::json)))) AND (
                a->>1 LIKE ANY (ARRAY(SELECT json_array_elements_text($6)))
                OR a->>2 LIKE ANY (ARRAY(SELECT json_array_elements_text($7)))
                OR ccs_has_string(b.body, ARRAY(
                    SELECT json_array_elements_text($7) UNION ALL SELECT json_array_elements_text($8)))
                OR (b.created_at < $9::timestamptz AND NOT EXISTS (
                    SELECT 1 FROM property p
                    WHERE p.account = $1 AND p.session_id = a->>1 AND p.namespace_id = (
                        SELECT n.id FROM namespace n WHERE n.account = $1 AND n.name = a->>0
                    ) AND (a->>2 IS NULL OR p.name = a->>2)
                        AND (p.updated_at IS NULL OR p.updated_at < $9::timestamptz)
                ))
            )
        )
    ), stripped AS (
        UPDATE idempotent_response r SET addresses = NULL, body = json_build_object('results', (
            SELECT json_agg(json_build_object('status', result->'status'))
            FROM json_array_elements(r.body->'results') AS result
        ))
        FROM hit
        WHERE r.account = $1 AND r.credential = hit.credential AND r.key_hash = hit.key_hash
    ), last AS MATERIALIZED (
        SELECT credential, key_hash FROM batch ORDER BY credential DESC, key_hash DESC LIMIT 1
    )
    SELECT (SELECT count(*) FROM batch), (SELECT credential FROM last), (SELECT key_hash::text FROM last)
    """,
)


class EraseRequest(Struct):
    """What an erasure is to do.

    Attributes:
        match: what it looks for.
        takes_sessions: whether a session is taken whole of which a name or a value is a hit.
        namespaces: the only ones to look in; None for all.
    """

    match: Match
    takes_sessions: bool = False
    namespaces: list[str] | None = None


class _Told(Struct):
    """What readers of the change log were told of a namespace."""

    sessions: int = 0
    properties: int = 0


class _Position(Struct, omit_defaults=True):
    """How far an erasure is.

    Attributes:
        stage: what it goes through now. The first three stages are repeated in each namespace.
        namespace: the id of the namespace.
        session: the session id after which to go on.
        name: the name in it after which to go on.
        taking: the session that is being taken whole. What was a hit in it may be gone already.
        change: the position in the log after which to go on.
        last_change: the last position to look at.
        credential: the credential, and
        key_hash: the key, of the response after which to go on.
        erased: by the id of a namespace that logs, what was erased in it.
    """

    stage: Literal["namespace", "properties", "ttls", "leases", "changes", "responses"] = (
        "namespace"
    )
    namespace: int = 0
    session: str = ""
    name: str = ""
    taking: str | None = None
    change: int = 0
    last_change: int | None = None
    credential: str = ""
    key_hash: str = r"\x"
    erased: dict[str, _Told] = field(default_factory=dict)


_request = Decoder(EraseRequest)
_position = Decoder(_Position)
_hits = Decoder(list[tuple[str, bool, int, int]])
_sessions = Decoder(list[str])


class Erasure:
    """An erasure that this run carries on, step by step."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._account = claim.account.encode()
        self._request = _request.decode(claim.request)
        self._patterns = patterns_of(self._request.match)
        self._position = _position.decode(claim.position) if claim.position else _Position()
        self._only = None if self._request.namespaces is None else encode(self._request.namespaces)

    def step(self) -> bool:
        """Does the next step; returns whether the erasure is done."""
        match self._position.stage:
            case "namespace":
                self._enter_next_namespace()
            case "properties":
                self._scan_properties()
            case "ttls":
                self._scan_sessions(SCAN_TTLS, then="leases")
            case "leases":
                self._scan_sessions(SCAN_LEASES, then="namespace")
            case "changes":
                self._erase_changes()
            case "responses":
                return self._strip_responses()
        return False

    def _enter_next_namespace(self) -> None:
        position = self._position
        with self._claim.step() as connection:
            total = None
            if not position.namespace:
                total = estimate(connection, self._claim.account)
            params = self._account, b"%d" % position.namespace, self._only
            found = connection.execute(NEXT_NAMESPACE, params).get_value(0, 0)
            if found is None:
                position.stage = "changes"
            else:
                position.stage, position.namespace = "properties", int(found)
                position.session = position.name = ""
            self._save(connection, Counts(), total)

    def _scan_properties(self) -> None:
        position = self._position
        if position.taking is not None:
            self._take_session(position.taking)
        params = (
            self._account,
            b"%d" % position.namespace,
            position.session.encode(),
            position.name.encode(),
            b"%d" % EXAMINED_AT_ONCE,
            b"%d" % _CHARACTERS_AT_ONCE,
            self._patterns.sessions,
            self._patterns.names,
            self._patterns.values,
            self._patterns.texts,
        )
        scanned = self._claim.database.execute(SCAN, *params)
        counts = Counts(examined=number_in(scanned, 0))
        is_last = scanned.get_value(0, 3) == b"t"
        session, name = (text_in(scanned, column) for column in (1, 2))
        for hit, is_session, hits, properties in _hits.decode(scanned.get_value(0, 4) or b"[]"):
            is_whole = is_session or (self._request.takes_sessions and hit != DEFAULT_SESSION)
            if self._claim.is_dry_run:
                if is_whole and hit == session:
                    name = _AFTER_ALL_NAMES
                self._count(hit, hits, counts, is_whole=is_whole)
                continue
            if is_whole:
                self._take_session(hit)
            else:
                self._erase_properties(hit)
            # What is erased counts as examined at once: after a kill, it would not be there to be counted.
            counts.examined -= properties if is_whole else hits
        if is_last:
            position.stage = "ttls"
            session = name = ""
        position.session, position.name = session, name
        with self._claim.step() as connection:
            self._save(connection, counts)

    def _count(self, session_id: str, properties: int, counts: Counts, *, is_whole: bool) -> None:
        """Counts what would be erased of a session."""
        if not is_whole:
            counts.properties += properties
            return
        params = self._account, b"%d" % self._position.namespace, session_id.encode()
        found = self._claim.database.execute(taking.COUNT_SESSION, *params)
        counts.sessions += 1
        counts.properties += number_in(found, 0)
        counts.changes += number_in(found, 1)

    def _erase_properties(self, session_id: str) -> None:
        """Erases the properties of a session that are hits."""
        patterns = self._patterns
        count = taking.BATCH
        while count == taking.BATCH:
            with self._claim.step() as connection:
                namespace = self._lock(connection, session_id)
                erased = connection.execute(
                    ERASE_PROPERTIES,
                    (
                        self._account,
                        namespace.param,
                        session_id.encode(),
                        b"%d" % taking.BATCH,
                        self._claim.id.encode(),
                        self._claim.actor.encode(),
                        patterns.names,
                        patterns.values,
                        patterns.texts,
                    ),
                )
                count = number_in(erased, 0)
                self._tell(erased, properties=count)
                self._save(connection, Counts(count, 0, count, number_in(erased, 2)))

    def _take_session(self, session_id: str) -> None:
        """Erases a whole session, with its time to live, its lease and its history."""
        self._position.taking = session_id
        while self._position.taking is not None:
            with self._claim.step() as connection:
                namespace = self._lock(connection, session_id)
                place = self._account, namespace.param, session_id.encode()
                batch = b"%d" % taking.BATCH
                by = self._claim.id.encode(), self._claim.actor.encode()
                taken = connection.execute(taking.TAKE_PROPERTIES, (*place, batch, *by))
                count = number_in(taken, 0)
                counts = Counts(examined=count, properties=count)
                if namespace.name is not None:
                    log = self._account, namespace.name.encode(), session_id.encode(), batch
                    counts.changes = (
                        connection.execute(taking.TAKE_CHANGES, log).command_tuples or 0
                    )
                if max(counts.properties, counts.changes) < taking.BATCH:
                    connection.execute(taking.TAKE_TTL, place)
                    connection.execute(taking.TAKE_LEASE, place)
                    counts.sessions = 1
                    self._position.taking = None
                self._tell(taken, properties=counts.properties, sessions=counts.sessions)
                self._save(connection, counts)

    def _scan_sessions(self, statement: Statement, *, then: Literal["leases", "namespace"]) -> None:
        """Takes the sessions whose id is a hit and that have no properties, but a row of another table."""
        position = self._position
        if position.taking is not None:
            self._take_session(position.taking)
        counts = Counts()
        has_more = False
        if self._request.match.sessions:
            params = (
                self._account,
                b"%d" % position.namespace,
                position.session.encode(),
                b"%d" % EXAMINED_AT_ONCE,
                self._patterns.sessions,
                flag(self._claim.is_dry_run),
            )
            scanned = self._claim.database.execute(statement, *params)
            for session_id in _sessions.decode(scanned.get_value(0, 2) or b"[]"):
                if self._claim.is_dry_run:
                    self._count(session_id, 0, counts, is_whole=True)
                else:
                    self._take_session(session_id)
            has_more = number_in(scanned, 0) == EXAMINED_AT_ONCE
            position.session = text_in(scanned, 1)
        if not has_more:
            position.stage, position.session = then, ""
        with self._claim.step() as connection:
            self._save(connection, counts)

    def _erase_changes(self) -> None:
        position = self._position
        with self._claim.step() as connection:
            if position.last_change is None:
                position.last_change = sequence_within(connection, self._claim.account)
            params: list[bytes | None] = [
                self._account,
                b"%d" % position.change,
                b"%d" % position.last_change,
                b"%d" % EXAMINED_AT_ONCE,
                b"%d" % _CHARACTERS_AT_ONCE,
                self._only,
                *self._patterns,
            ]
            if self._claim.is_dry_run:
                params.append(flag(self._request.takes_sessions))
            statement = COUNT_CHANGES if self._claim.is_dry_run else ERASE_CHANGES
            found = connection.execute(statement, params)
            position.change = number_in(found, 1)
            if position.change in {0, position.last_change}:
                position.stage = "responses"
            counts = Counts(examined=number_in(found, 0), changes=number_in(found, 2))
            self._save(connection, counts)

    def _strip_responses(self) -> bool:
        if self._claim.is_dry_run:
            return True
        position = self._position
        match = self._request.match
        with self._claim.step() as connection:
            params = (
                self._account,
                position.credential.encode(),
                position.key_hash.encode(),
                b"%d" % EXAMINED_AT_ONCE,
                self._only,
                self._patterns.sessions,
                self._patterns.names,
                self._patterns.values,
                self._claim.started_at.encode() if match.names or match.values else None,
            )
            found = connection.execute(STRIP_RESPONSES, params)
            position.credential, position.key_hash = (text_in(found, column) for column in (1, 2))
            self._save(connection, Counts())
        return number_in(found, 0) < EXAMINED_AT_ONCE

    def _lock(self, connection: LibpqConnection, session_id: str) -> Namespace:
        """Keeps others from the session, and brings what was logged of it into the log, until the transaction ends."""
        account = self._claim.account
        namespace = taking.find_namespace(connection, account, self._position.namespace)
        taking.lock_session(connection, account, namespace, session_id)
        sequence_within(connection, account)
        return namespace

    def _tell(self, deleted: PGresult, *, properties: int, sessions: int = 0) -> None:
        """Notes what readers of the log will be told in the end, if the namespace logs."""
        if deleted.get_value(0, 1) == b"t":
            told = self._position.erased.setdefault(str(self._position.namespace), _Told())
            told.properties += properties
            told.sessions += sessions

    def _save(self, connection: LibpqConnection, counts: Counts, total: int | None = None) -> None:
        self._claim.save(connection, encode(self._position), counts, total)
