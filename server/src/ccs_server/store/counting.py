"""Counts the usage of accounts that have a quota, so that saves need not count.

Only accounts with a row in `quota` are counted, in small steps along the primary key of `property`. Counting pauses
after each step, so that it uses only a small part of the database's time. An instance claims an account before it
counts it, so several instances may count at once without counting an account twice.

A count is not a snapshot: it may or may not include what is saved or deleted while it runs. It excludes expired
properties, and the properties of deleted namespaces that the purge has yet to delete.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic

from ccs_server.domain.quotas import Amounts
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.quotas import list_quotas

BATCH = 2000
"""The number of rows that one statement reads: a few milliseconds of CPU time, which may delay a request."""

_REST = 9.0
"""Seconds of pause for each second of work, so that counting takes at most a tenth of one CPU."""

NEAR = 0.9
"""The fraction of a limit above which an account is counted more often.

So the account cannot exceed the limit by much, and need not wait long after it has deleted something.
"""

NEAR_PART = 0.1
"""The fraction of the interval after which such an account is counted again."""

_CLAIM_SECONDS = 30
"""How long a claim lasts, in case the instance that made it was killed. A longer count renews its claim."""

_CLAIMED = b"%d" % _CLAIM_SECONDS

_MAX_CONCURRENT = 16
"""How many accounts are counted in turn; few enough that each has its turn before its claim ends."""

_NEVER_STOPPED = Event()

_FIRST_PROPERTY = b"0", b"", b"", b"f"
_FIRST_SESSION = b"0", b""

# Counts need not be durable, since an account is counted again after a crash. An asynchronous commit does not wait for
# the disk, and the commits of requests do not queue behind it.
_UNSYNCED = "(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced"

CLAIM = Statement.of(
    "quota_claim",
    f"""UPDATE quota SET due_at = now() + interval '1 second' * $1::float8
    FROM {_UNSYNCED}
    WHERE account = (
        SELECT account FROM quota
        WHERE due_at <= now() AND (properties_limit IS NOT NULL
            OR bytes_limit IS NOT NULL OR sessions_limit IS NOT NULL)
        ORDER BY due_at LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING account""",
)

_POSTPONE = Statement.of(
    "quota_postpone",
    f"""UPDATE quota SET due_at = now() + interval '1 second' * $2::float8
    FROM {_UNSYNCED} WHERE account = $1""",
)

# greatest() ignores NULLs, which stand for limits that are not set.
_STORE = Statement.of(
    "quota_store",
    f"""UPDATE quota SET properties_used = $2::bigint, bytes_used = $3::bigint,
        sessions_used = $4::bigint, counted_at = now(),
        due_at = now() + interval '1 second' * $5::float8 * CASE
            WHEN greatest($2::float8 / properties_limit, $3::float8 / bytes_limit,
                $4::float8 / sessions_limit) >= {NEAR} THEN {NEAR_PART} ELSE 1 END
    FROM {_UNSYNCED} WHERE account = $1""",
)

# Sums the properties that follow ($2, $3, $4) in the order of the primary key, by session. $5 says whether the session
# ($2, $3) has been counted already. The bytes of a property are the size of its value on disk or its `size` (the
# characters that it adds to its document), whichever is greater; neither requires reading the value. Properties of
# deleted namespaces remain in the table until the purge deletes them, so they are excluded here.
COUNT_PROPERTIES = Statement.of(
    "quota_count_properties",
    """WITH by_session AS MATERIALIZED (
        SELECT namespace_id, session_id, max(name) AS last_name, count(*) AS rows,
            count(*) FILTER (WHERE is_live) AS properties,
            coalesce(sum(bytes) FILTER (WHERE is_live), 0) AS bytes
        FROM (
            SELECT p.namespace_id, p.session_id, p.name, p.expires_at > now() AS is_live,
                greatest(p.size, pg_column_size(p.value)) AS bytes
            FROM property p
            WHERE p.account = $1
                AND (p.namespace_id, p.session_id, p.name) > ($2::bigint, $3, $4)
            ORDER BY p.namespace_id, p.session_id, p.name LIMIT $6::bigint
        ) AS step
        GROUP BY namespace_id, session_id
    ), live AS MATERIALIZED (
        SELECT * FROM by_session s
        WHERE properties > 0 AND NOT EXISTS (
            SELECT 1 FROM deleted_namespace d
            WHERE d.account = $1 AND d.namespace_id = s.namespace_id)
    ), last AS (
        SELECT namespace_id, session_id, last_name FROM by_session
        ORDER BY namespace_id DESC, session_id DESC LIMIT 1
    )
    SELECT (SELECT sum(rows) FROM by_session),
        (SELECT coalesce(sum(properties), 0) FROM live),
        (SELECT coalesce(sum(bytes), 0) FROM live),
        (SELECT count(*) FROM live WHERE session_id <> '__default__'
            AND NOT ($5::boolean AND namespace_id = $2::bigint AND session_id = $3)),
        last.namespace_id, last.session_id, last.last_name,
        EXISTS (SELECT 1 FROM live WHERE live.namespace_id = last.namespace_id
                AND live.session_id = last.session_id)
            OR ($5::boolean AND last.namespace_id = $2::bigint AND last.session_id = $3)
    FROM last""",
)

# Counts sessions after ($2, $3) that have a TTL and no properties. For EXISTS, the planner might scan all the
# account's properties; a scalar subquery is always executed as it stands.
COUNT_EMPTY_SESSIONS = Statement.of(
    "quota_count_empty_sessions",
    """WITH step AS MATERIALIZED (
        SELECT s.namespace_id, s.session_id, (
            SELECT true FROM property p
            WHERE p.account = $1 AND p.namespace_id = s.namespace_id
                AND p.session_id = s.session_id AND p.expires_at > now()
            LIMIT 1
        ) IS NULL AS is_empty
        FROM session_ttl s
        WHERE s.account = $1 AND (s.namespace_id, s.session_id) > ($2::bigint, $3)
        ORDER BY s.namespace_id, s.session_id LIMIT $4::bigint
    ), last AS (
        SELECT namespace_id, session_id FROM step
        ORDER BY namespace_id DESC, session_id DESC LIMIT 1
    )
    SELECT (SELECT count(*) FROM step),
        (SELECT count(*) FROM step WHERE is_empty AND NOT EXISTS (
            SELECT 1 FROM deleted_namespace d
            WHERE d.account = $1 AND d.namespace_id = step.namespace_id)),
        namespace_id, session_id
    FROM last""",
)


def count_due(
    database: Database,
    interval: float,
    *,
    batch: int = BATCH,
    wait: Callable[[float], bool] = _NEVER_STOPPED.wait,
) -> list[str]:
    """Counts every account whose count is due; returns the accounts that were counted.

    Several accounts are counted in turn, one step each, so that none waits behind a large one.

    Args:
        database: the database to count in.
        interval: seconds until an account is counted again; a tenth of that if it is near or over a limit.
        batch: the number of rows that one statement reads.
        wait: waits for the given number of seconds; returns True, possibly early, to stop the counting.

    Raises:
        Unavailable: the database cannot be used now.
    """
    counted: list[str] = []
    active: deque[_Count] = deque()
    while True:
        began = monotonic()
        if len(active) < _MAX_CONCURRENT and (claimed := _claim(database, batch)):
            active.append(claimed)
        if not active:
            return counted
        count = active.popleft()
        if count.advance():
            active.append(count)
        elif count.store(interval):
            counted.append(count.account.decode())
        if wait(_REST * (monotonic() - began)):
            # Release the claims, so that other instances need not wait until they end.
            for unfinished in active:
                unfinished.postpone(b"0")
            return counted


def count_all(
    database: Database, interval: float, *, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> list[str]:
    """Counts every account with a quota once, due or not; returns the accounts that were counted.

    Raises:
        Unavailable: the database cannot be used now.
    """
    counted: list[str] = []
    for each in list_quotas(database):
        if each.quota.limits == Amounts():
            continue
        count, began = _Count(database, each.account.encode(), BATCH), monotonic()
        while count.advance():
            wait(_REST * (monotonic() - began))
            began = monotonic()
        if count.store(interval):
            counted.append(each.account)
    return counted


def _claim(database: Database, batch: int) -> "_Count | None":
    """Claims the account that has been due for longest, and starts its count; None if none is due."""
    result = database.execute(CLAIM, _CLAIMED)
    return _Count(database, result.get_value(0, 0) or b"", batch) if result.ntuples else None


class _Count:
    """A count of one account, taken step by step."""

    def __init__(self, database: Database, account: bytes, batch: int) -> None:
        self.account = account
        self._database = database
        self._batch = batch
        self._claimed_at = monotonic()
        self._used = [0, 0, 0]
        self._steps = self._run()

    def advance(self) -> bool:
        """Takes the next step; False if there is none left."""
        if monotonic() - self._claimed_at > _CLAIM_SECONDS / 2:
            self.postpone(_CLAIMED)
            self._claimed_at = monotonic()
        return next(self._steps, False)

    def store(self, interval: float) -> bool:
        """Stores the result; False if the quota has been removed in the meantime."""
        used = (b"%d" % each for each in self._used)
        stored = self._database.execute(_STORE, self.account, *used, str(interval).encode())
        return bool(stored.command_tuples)

    def postpone(self, seconds: bytes) -> None:
        """Makes the account due again in `seconds`."""
        self._database.execute(_POSTPONE, self.account, seconds)

    def _run(self) -> Iterator[bool]:
        for sums in self._read(COUNT_PROPERTIES, _FIRST_PROPERTY, self._batch):
            self._used = [total + more for total, more in zip(self._used, sums, strict=True)]
            yield True
        # Each of these rows needs a lookup in another table.
        batch = max(1, self._batch // 4)
        for (empty_sessions,) in self._read(COUNT_EMPTY_SESSIONS, _FIRST_SESSION, batch):
            self._used[2] += empty_sessions
            yield True

    def _read(
        self, statement: Statement, cursor: tuple[bytes, ...], batch: int
    ) -> Iterator[list[int]]:
        """Yields the sums of each step. A statement returns its number of rows, its sums and the next cursor."""
        looked_at = batch
        while looked_at == batch:
            result = self._database.execute(statement, self.account, *cursor, b"%d" % batch)
            if not result.ntuples:
                return
            row = [result.get_value(0, column) or b"" for column in range(result.nfields)]
            first = len(row) - len(cursor)
            looked_at, *sums = map(int, row[:first])
            cursor = tuple(row[first:])
            yield sums
