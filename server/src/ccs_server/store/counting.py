"""Counting what accounts with a quota have, so that no save has to.

Only accounts that have a row in `quota` are counted, in small steps along the primary key of `property`. After each
step the counting rests, so that requests find the database free most of the time. An account is claimed before it is
counted, so any number of instances may count at once and each account is counted by one of them.

A count is no snapshot: what is saved or deleted while it runs is in it or not. What has expired, and what deleted
namespaces have left for the purge, is not counted.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic

from ccs_server.domain.quotas import Amounts
from ccs_server.store.database import Database
from ccs_server.store.quotas import list_quotas
from ccs_server.store.wire import Statement

BATCH = 2000
"""Rows that one statement looks at: a few milliseconds of a processor, for which a request may have to wait."""

_REST = 9.0
"""Seconds of rest for each second of work: counting takes a tenth of one processor at most."""

NEAR = 0.9
"""The part of a limit from which an account is counted more often, so that it can neither grow far over the limit nor
wait long after it has deleted something."""

NEAR_PART = 0.1
"""The part of the interval after which such an account is counted again."""

_CLAIM_SECONDS = 30
"""How long an account is left to the instance that claimed it, which may have been killed; a longer count renews it."""

_CLAIMED = b"%d" % _CLAIM_SECONDS

_MOST_AT_WORK = 16
"""Accounts that are counted in turns, so few that each has its turn before its claim ends."""

_NEVER_STOPPED = Event()

_FIRST_PROPERTY = b"0", b"", b"", b"f"
_FIRST_SESSION = b"0", b""

# These need not be on disk when they are answered: what a crash loses is counted again. So they do not wait for it,
# nor do the commits of requests wait behind them.
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

# greatest() leaves nulls out: here, limits that are not set.
_STORE = Statement.of(
    "quota_store",
    f"""UPDATE quota SET properties_used = $2::bigint, bytes_used = $3::bigint,
        sessions_used = $4::bigint, counted_at = now(),
        due_at = now() + interval '1 second' * $5::float8 * CASE
            WHEN greatest($2::float8 / properties_limit, $3::float8 / bytes_limit,
                $4::float8 / sessions_limit) >= {NEAR} THEN {NEAR_PART} ELSE 1 END
    FROM {_UNSYNCED} WHERE account = $1""",
)

# The properties after the one at ($2, $3, $4), in the order of the primary key, summed by session. $5 says whether the
# session at ($2, $3) has been counted already. The bytes of a property are those that its value takes on disk, or the
# characters of its JSON as the size of a document is counted, whichever is more: neither needs the value to be read.
# Rows of deleted namespaces are in the table until the purge has deleted them.
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
            SELECT FROM deleted_namespace d
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
        EXISTS (SELECT FROM live WHERE live.namespace_id = last.namespace_id
                AND live.session_id = last.session_id)
            OR ($5::boolean AND last.namespace_id = $2::bigint AND last.session_id = $3)
    FROM last""",
)

# Sessions that have a TTL and no properties, after the one at ($2, $3). The planner may turn EXISTS into a scan of all
# that the account has; a scalar subquery it leaves as it is.
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
            SELECT FROM deleted_namespace d
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
    """Counts every account whose count is due, until none is or it is told to stop; returns those counted.

    Several are counted in turns, a step each, so that none has to wait until a large one has been counted.

    Args:
        database: where to count.
        interval: seconds until an account is counted again; a tenth of it where the account is near a limit or over it.
        batch: rows that one statement looks at.
        wait: rests for so many seconds, or until the counting shall stop, and says whether it shall.

    Raises:
        Unavailable: the database cannot be used now.
    """
    counted: list[str] = []
    at_work: deque[_Count] = deque()
    while True:
        began = monotonic()
        if len(at_work) < _MOST_AT_WORK and (claimed := _claim(database, batch)):
            at_work.append(claimed)
        if not at_work:
            return counted
        count = at_work.popleft()
        if count.advance():
            at_work.append(count)
        elif count.store(interval):
            counted.append(count.account.decode())
        if wait(_REST * (monotonic() - began)):
            # Other instances need not wait until the claims end.
            for unfinished in at_work:
                unfinished.postpone(b"0")
            return counted


def count_all(
    database: Database, interval: float, *, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> list[str]:
    """Counts every account with a quota once, whether its count is due or not; returns those counted.

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
    """A count of the account that has been due for longest; None if none is due."""
    result = database.execute(CLAIM, _CLAIMED)
    return _Count(database, result.get_value(0, 0) or b"", batch) if result.ntuples else None


class _Count:
    """One count of one account, step by step."""

    def __init__(self, database: Database, account: bytes, batch: int) -> None:
        self.account = account
        self._database = database
        self._batch = batch
        self._claimed_at = monotonic()
        self._used = [0, 0, 0]
        self._steps = self._run()

    def advance(self) -> bool:
        """Takes a step if there is one left, and says whether there was."""
        if monotonic() - self._claimed_at > _CLAIM_SECONDS / 2:
            self.postpone(_CLAIMED)
            self._claimed_at = monotonic()
        return next(self._steps, False)

    def store(self, interval: float) -> bool:
        """Stores the result; False if the quota has been cleared in the meantime."""
        used = (b"%d" % each for each in self._used)
        stored = self._database.execute(_STORE, self.account, *used, str(interval).encode())
        return bool(stored.command_tuples)

    def postpone(self, seconds: bytes) -> None:
        """Makes the account due in so many seconds."""
        self._database.execute(_POSTPONE, self.account, seconds)

    def _run(self) -> Iterator[bool]:
        for sums in self._read(COUNT_PROPERTIES, _FIRST_PROPERTY, self._batch):
            self._used = [total + more for total, more in zip(self._used, sums, strict=True)]
            yield True
        # Each of these rows is looked up in another table.
        batch = max(1, self._batch // 4)
        for (empty_sessions,) in self._read(COUNT_EMPTY_SESSIONS, _FIRST_SESSION, batch):
            self._used[2] += empty_sessions
            yield True

    def _read(
        self, statement: Statement, cursor: tuple[bytes, ...], batch: int
    ) -> Iterator[list[int]]:
        """What each step sums up: a statement gives its number of rows, its sums and the next cursor."""
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
