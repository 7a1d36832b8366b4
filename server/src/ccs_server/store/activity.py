"""What an account has and does: its properties, sessions and namespaces, its saves and reads, and expiries to come.

Nothing here costs more for an account of millions of properties. A request looks at a limited number of rows; a count
that they do not suffice for is an estimate.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from ccs_server.store.connection import Statement, array_parameter
from ccs_server.store.database import Database

LOOK_LIMIT = 10_000
"""The maximum number of properties that each statement looks at: some milliseconds."""

STEPS = 12
STEP_SECONDS = 300
"""Expiries are counted for so many steps of so many seconds."""

_TOGETHER = 100
"""Counts that are added in one transaction, which holds their rows until its end."""

# What is lost in a crash of the database are counts of less than a second.
_UNSYNCED = Statement.of(
    "activity_unsynced", "SELECT set_config('synchronous_commit', 'off', true) AS one"
)

_RECORD = Statement.of(
    "activity_record",
    """
    INSERT INTO activity (account, minute, saves, reads)
    VALUES ($1, to_timestamp($2::bigint), $3::bigint, $4::bigint)
    ON CONFLICT (account, minute) DO UPDATE
        SET saves = activity.saves + excluded.saves, reads = activity.reads + excluded.reads
    """,
)

_MINUTES = Statement.of(
    "activity_minutes",
    """
    SELECT json_agg(json_build_object(
        'time', to_char(m.minute AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'saves', coalesce(a.saves, 0),
        'reads', coalesce(a.reads, 0)
    ) ORDER BY m.minute)
    FROM generate_series(
        date_trunc('minute', now()) - interval '59 minutes', now(), interval '1 minute'
    ) AS m (minute)
    LEFT JOIN activity a ON a.account = $1 AND a.minute = m.minute
    """,
)

# The first $2 properties of the account. Those of deleted namespaces stay in the table until the purge deletes them.
_TOTALS = Statement.of(
    "activity_totals",
    """
    WITH by_session AS (
        SELECT namespace_id, session_id, count(*) AS looked, count(*) FILTER (WHERE is_live) AS properties
        FROM (
            SELECT p.namespace_id, p.session_id, p.expires_at > now() AS is_live FROM property p
            WHERE p.account = $1 AND (p.namespace_id, p.session_id, p.name) > (0::bigint, '', '')
            ORDER BY p.namespace_id, p.session_id, p.name LIMIT $2::bigint
        ) AS looked
        GROUP BY namespace_id, session_id
    ), counted AS (
        SELECT namespace_id, sum(looked) AS looked, sum(properties) AS properties,
            count(*) FILTER (WHERE properties > 0) AS sessions
        FROM by_session GROUP BY namespace_id
    )
    SELECT json_build_object(
        'looked', coalesce(sum(looked), 0),
        'properties', coalesce(sum(properties) FILTER (WHERE d.namespace_id IS NULL), 0),
        'sessions', coalesce(sum(sessions) FILTER (WHERE d.namespace_id IS NULL), 0),
        'quota', (SELECT json_build_array(properties_used, sessions_used) FROM quota
            WHERE account = $1 AND properties_used IS NOT NULL)
    )
    FROM counted c LEFT JOIN deleted_namespace d ON d.account = $1 AND d.namespace_id = c.namespace_id
    """,
)

# A page of $4 namespaces after $2, of those that $3 allows. They share the $5 properties that are looked at.
_NAMESPACES = Statement.of(
    "activity_namespaces",
    """
    WITH page AS MATERIALIZED (
        SELECT id, name, ttl_seconds FROM namespace WHERE account = $1 AND name > $2
            AND ($3::text[] IS NULL OR EXISTS (
                SELECT 1 FROM unnest($3::text[]) AS allowed
                WHERE name = allowed OR (right(allowed, 1) = '*' AND starts_with(name, left(allowed, -1)))
            ))
        ORDER BY name LIMIT $4::bigint
    ), share AS MATERIALIZED (
        SELECT $5::bigint / greatest(count(*), 1) AS rows FROM page
    )
    SELECT coalesce(json_agg(json_build_object(
        'id', page.id, 'name', page.name, 'ttl', page.ttl_seconds, 'limit', share.rows,
        'looked', counted.looked, 'properties', counted.properties, 'sessions', counted.sessions
    ) ORDER BY page.name), '[]')
    FROM page CROSS JOIN share CROSS JOIN LATERAL (
        SELECT coalesce(sum(looked), 0) AS looked, coalesce(sum(properties), 0) AS properties,
            count(*) FILTER (WHERE properties > 0) AS sessions
        FROM (
            SELECT count(*) AS looked, count(*) FILTER (WHERE is_live) AS properties
            FROM (
                SELECT p.session_id, p.expires_at > now() AS is_live FROM property p
                WHERE p.account = $1 AND p.namespace_id = page.id
                ORDER BY p.session_id, p.name LIMIT share.rows
            ) AS looked
            GROUP BY session_id
        ) AS by_session
    ) AS counted
    """,
)

# What expires in $3 steps of $4 seconds, of the namespaces that $2 allows. What expires before `until` is all known.
_EXPIRIES = """
    WITH due AS MATERIALIZED (
/*looked at*/
    ), known AS MATERIALIZED (
        SELECT CASE WHEN count(*) = $5::bigint THEN max(purge_at) END AS until FROM due
    ), by_namespace AS MATERIALIZED (
        SELECT namespace_id, floor(extract(epoch FROM expires_at - now()) / $4::float8) AS step,
            count(*) AS expiries, count(*) FILTER (WHERE expires_at <= until) AS known
        FROM due CROSS JOIN known WHERE account = $1 AND expires_at > now() AND expires_at < 'infinity'
        GROUP BY 1, 2
    ), mine AS MATERIALIZED (
        SELECT step, sum(expiries) AS expiries, sum(e.known) AS known
        FROM by_namespace e JOIN namespace n ON n.account = $1 AND n.id = e.namespace_id
        WHERE $2::text[] IS NULL OR EXISTS (
            SELECT 1 FROM unnest($2::text[]) AS allowed
            WHERE n.name = allowed OR (right(allowed, 1) = '*' AND starts_with(n.name, left(allowed, -1)))
        )
        GROUP BY step
    )
    SELECT json_build_object(
        'until', (SELECT extract(epoch FROM greatest(until, now()) - now()) FROM known WHERE until IS NOT NULL),
        'known', (SELECT coalesce(sum(known), 0) FROM mine),
        'steps', (
            SELECT json_agg(json_build_array(
                to_char((now() + s.step * $4::float8 * interval '1 second') AT TIME ZONE 'UTC',
                    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                coalesce(mine.expiries, 0)
            ) ORDER BY s.step)
            FROM generate_series(0, $3::integer - 1) AS s (step) LEFT JOIN mine ON mine.step = s.step
        ))
    """

# Of an account that has fewer properties than $5: all of them.
_EXPIRIES_OF_ALL = Statement.of(
    "activity_expiries",
    _EXPIRIES.replace(
        "/*looked at*/",
        """
        SELECT p.account, p.namespace_id, p.expires_at, p.purge_at FROM property p
        WHERE p.account = $1 AND (p.namespace_id, p.session_id, p.name) > (0::bigint, '', '')
        ORDER BY p.namespace_id, p.session_id, p.name LIMIT $5::bigint""",
    ),
)

# Of a larger one, those of all accounts that the purge looks at next, which is never later than they expire: its index
# is of all accounts.
_EXPIRIES_OF_NEXT = Statement.of(
    "activity_find_expiries",
    _EXPIRIES.replace(
        "/*looked at*/",
        """
        SELECT account, namespace_id, expires_at, purge_at FROM property
        WHERE purge_at <= now() + $3::float8 * $4::float8 * interval '1 second'
        ORDER BY purge_at LIMIT $5::bigint""",
    ),
)

# What ANALYZE has found out about two columns: the most common values, and how many there are.
_STATISTICS = Statement.of(
    "activity_statistics",
    """
    SELECT json_build_object(
        'rows', greatest(c.reltuples, 0),
        'columns', coalesce((
            SELECT json_object_agg(s.attname, json_build_object(
                'distinct', s.n_distinct,
                'values', coalesce(to_json(s.most_common_vals::text::text[]), '[]'),
                'frequencies', coalesce(to_json(s.most_common_freqs), '[]')))
            FROM pg_stats s
            WHERE s.schemaname = c.relnamespace::regnamespace::name AND s.tablename = c.relname
                AND s.attname IN ('account', 'namespace_id')
        ), '{}'))
    FROM pg_class c WHERE c.oid = 'property'::regclass
    """,
)


class Count(Struct):
    """How many there are: exactly, or about."""

    count: int
    estimated: bool


class NamespaceCounts(NamedTuple):
    """A namespace with its time to live (0 is forever) and what it has."""

    name: str
    ttl_seconds: int
    properties: Count
    sessions: Count


class Expiries(Struct):
    """How many properties expire in a step that begins at a time, unless they are saved again."""

    time: str
    properties: Count


class Overview(NamedTuple):
    """What an account has and does.

    Attributes:
        time: when, as the first step of expiries.
        minutes: saves and reads in each of the last 60 minutes, as JSON.
        expiries: how many properties expire in each of the next steps.
        properties: how many there are.
        sessions: how many sessions have some.
        namespaces: a page of namespaces, by name.
    """

    time: str
    minutes: bytes
    expiries: list[Expiries]
    properties: Count
    sessions: Count
    namespaces: list[NamespaceCounts]


class _Looked(Struct):
    """What was found among the rows that a statement has looked at."""

    looked: int
    properties: int
    sessions: int


class _LookedTotals(_Looked):
    quota: tuple[int, int] | None


class _LookedNamespace(_Looked):
    id: int
    name: str
    ttl: int
    limit: int


class _Due(Struct):
    """What expires in each step, as far as it was looked at.

    Attributes:
        until: in how many seconds that ends; None if it was all looked at.
        known: how many properties expire until then.
        steps: when each begins, and how many properties are known to expire in it.
    """

    until: float | None
    known: int
    steps: list[tuple[str, int]]


class _Column(Struct):
    distinct: float
    values: list[str]
    frequencies: list[float]


class _Statistics(Struct):
    rows: float
    columns: dict[str, _Column]

    def rows_of(self, column: str, value: str) -> float:
        """About how many properties have the value in the column; 0 if that is not known."""
        known = self.columns.get(column)
        if known is None:
            return 0
        common = dict(zip(known.values, known.frequencies, strict=True))
        if value in common:
            return self.rows * common[value]
        # A negative number is a part of the rows.
        distinct = known.distinct if known.distinct >= 0 else -known.distinct * self.rows
        others = max(distinct - len(common), 1)
        return self.rows * max(1 - sum(common.values()), 0) / others


_totals = Decoder(_LookedTotals).decode
_namespaces = Decoder(list[_LookedNamespace]).decode
_due = Decoder(_Due).decode
_statistics = Decoder(_Statistics).decode


def record(database: Database, counts: Mapping[tuple[str, int], Sequence[int]]) -> None:
    """Adds saves and reads.

    Args:
        database: the database.
        counts: how many saves and reads there were, by account and by minute since the epoch.

    Raises:
        Unavailable: the database cannot be used now. Some counts may have been added.
    """
    # In one order, so that two that add at once do not wait for each other.
    steps = [
        (_RECORD, (account.encode(), b"%d" % (minute * 60), *(b"%d" % each for each in both)))
        for (account, minute), both in sorted(counts.items())
    ]
    for first in range(0, len(steps), _TOGETHER):
        database.pipeline((_UNSYNCED, ()), *steps[first : first + _TOGETHER])


def read_overview(
    database: Database,
    account: str,
    *,
    allowed: Sequence[str] | None = None,
    after: str = "",
    limit: int,
) -> Overview:
    """Returns what the account has and does.

    Args:
        database: the database to read from.
        account: the account.
        allowed: namespaces and expiries are of these namespaces only, None for all; a `*` at the end of one stands for
            any characters.
        after: the name after which the namespaces begin.
        limit: the maximum number of namespaces.

    Raises:
        Unavailable: the database cannot be used now.
    """
    key, most = account.encode(), b"%d" % LOOK_LIMIT
    names = None if allowed is None else array_parameter(name.encode() for name in allowed)
    minutes, totals, namespaces = database.pipeline(
        (_MINUTES, (key,)),
        (_TOTALS, (key, most)),
        (_NAMESPACES, (key, after.encode(), names, b"%d" % limit, most)),
    )
    total = _totals(totals.get_value(0, 0) or b"")
    page = _namespaces(namespaces.get_value(0, 0) or b"")
    expiries = database.execute(
        _EXPIRIES_OF_ALL if total.looked < LOOK_LIMIT else _EXPIRIES_OF_NEXT,
        *(key, names, b"%d" % STEPS, b"%d" % STEP_SECONDS, most),
    )
    due = _due(expiries.get_value(0, 0) or b"")
    statistics = None
    if total.looked == LOOK_LIMIT or any(each.looked == each.limit for each in page):
        statistics = _statistics(database.execute(_STATISTICS).get_value(0, 0) or b"")
    properties, sessions = _counts(
        total, LOOK_LIMIT, statistics.rows_of("account", account) if statistics else 0
    )
    if properties.estimated and total.quota:
        properties, sessions = (Count(used, estimated=True) for used in total.quota)
    return Overview(
        due.steps[0][0],
        minutes.get_value(0, 0) or b"",
        _expiries(due),
        properties,
        sessions,
        [
            NamespaceCounts(
                each.name,
                each.ttl,
                *_counts(
                    each,
                    each.limit,
                    statistics.rows_of("namespace_id", str(each.id)) if statistics else 0,
                ),
            )
            for each in page
        ],
    )


def _counts(found: _Looked, limit: int, rows: float) -> tuple[Count, Count]:
    """How many properties and sessions there are.

    Args:
        found: what was looked at.
        limit: how many rows were looked at, if there are more.
        rows: about how many there are.
    """
    if found.looked < limit:
        return Count(found.properties, estimated=False), Count(found.sessions, estimated=False)
    # The rest is taken to be as what was looked at.
    factor = max(rows / found.looked, 1)
    return (
        Count(round(found.properties * factor), estimated=True),
        Count(round(found.sessions * factor), estimated=True),
    )


def _expiries(due: _Due) -> list[Expiries]:
    """How many properties expire in each step."""
    if due.until is None:
        return [Expiries(time, Count(count, estimated=False)) for time, count in due.steps]
    # As many as in the part that is known; not fewer than were seen.
    usual = round(due.known / due.until * STEP_SECONDS) if due.until > 0 else 0
    return [
        Expiries(time, Count(max(count, usual), estimated=True))
        if (number + 1) * STEP_SECONDS > due.until
        else Expiries(time, Count(count, estimated=False))
        for number, (time, count) in enumerate(due.steps)
    ]
