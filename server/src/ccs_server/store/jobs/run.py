"""Carries jobs on: claims one for a few seconds, does some of its steps, and puts it back.

A step is a transaction that first checks that this run still has the job, and last saves how far it has come and what
it has counted. So a kill loses nothing and counts nothing twice: once the claim has ended, another instance goes on
from there. Jobs take turns, so a small one does not wait for a large one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from threading import Event
from time import monotonic
from typing import NamedTuple

from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import ContextError
from ccs_server.store.connection import LibpqConnection, Statement
from ccs_server.store.database import BEGIN, COMMIT, Database

CLAIM_SECONDS = 30
"""A job whose run has not saved anything for so long is carried on by another."""

_TURN_SECONDS = 5.0

_REST = 3.0
"""Seconds of pause for each second of work, as the purge rests."""

_MOST_REST_SECONDS = 5.0

_NEVER_STOPPED = Event()

FIND_DUE = Statement.of(
    "job_find_due", "SELECT account, id FROM job WHERE due_at <= now() ORDER BY due_at LIMIT 10"
)

# $1 account, $2 id, $3 the run. No row: another run has it, or it has ended.
CLAIM = Statement.of(
    "job_claim",
    f"""
    WITH claimed AS (
        UPDATE job j
        SET holder = $3, due_at = now() + interval '{CLAIM_SECONDS} seconds', state = 'running',
            started_at = least(j.started_at, now())  -- now(), if it has not started
        WHERE j.account = $1 AND j.id = (
            SELECT d.id FROM job d WHERE d.account = $1 AND d.id = $2 AND d.due_at <= now()
            FOR UPDATE SKIP LOCKED
        )
        RETURNING j.kind, j.request, j.position, j.is_dry_run, j.actor, j.started_at
    )
    SELECT kind, request, position, is_dry_run, actor,
        to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    FROM claimed
    """,
)

# A node of Citus may execute a statement on its own data directly, and then accepts in this transaction only those that
# it can execute in the same way; it cannot all that follow. So it does so by a connection to itself. Others ignore it.
REMOTELY = Statement.of(
    "job_remotely", "SELECT set_config('citus.enable_local_execution', 'off', true)"
)

# $1 account, $2 id, $3 the run. No row: the run has lost it. The commit of a step does not wait for the disk: a crash
# that loses it loses what it has done and how far it says the job is, both together, so the step is done again. The
# commit that ends the job waits, for all of them.
HOLD = Statement.of(
    "job_hold",
    """
    SELECT set_config('synchronous_commit', 'off', true) FROM job
    WHERE account = $1 AND id = $2 AND holder = $3 FOR UPDATE
    """,
)

# $4 position, $5 to $8: how many more were examined, sessions, properties and changes, $9 the total (NULL: as it is).
SAVE = Statement.of(
    "job_save",
    f"""
    UPDATE job SET position = $4::json, examined = examined + $5::bigint, sessions = sessions + $6::bigint,
        properties = properties + $7::bigint, changes = changes + $8::bigint,
        total = greatest(coalesce($9::bigint, total), examined + $5::bigint),
        due_at = statement_timestamp() + interval '{CLAIM_SECONDS} seconds'
    WHERE account = $1 AND id = $2 AND holder = $3
    """,
)

RELEASE = Statement.of(
    "job_release",
    "UPDATE job SET holder = NULL, due_at = now() WHERE account = $1 AND id = $2 AND holder = $3",
)


@dataclass
class Counts:
    """What a step has found, or done."""

    examined: int = 0
    sessions: int = 0
    properties: int = 0
    changes: int = 0


class Lost(ContextError):
    """The run has the job no more: it was canceled, or another run carries it on."""


class Claim(NamedTuple):
    """A job that this run has.

    Attributes:
        database: where it is.
        account: its account.
        id: its id.
        holder: the name of this run.
        kind: what is to be done.
        request: to what, as JSON.
        position: how far it is done, as JSON; None at the beginning.
        is_dry_run: whether it only counts.
        actor: who has created it.
        started_at: when it began.
    """

    database: Database
    account: str
    id: str
    holder: str
    kind: str
    request: bytes
    position: bytes | None
    is_dry_run: bool
    actor: str
    started_at: str

    @contextmanager
    def step(self) -> Iterator[LibpqConnection]:
        """Runs the block in a transaction in which this run holds the job, and no other can.

        Raises:
            Lost: the run has it no more.
        """
        with self.database.pipelined_transaction() as connection:
            *_, held = connection.pipeline((BEGIN, ()), (REMOTELY, ()), (HOLD, self._key()))
            if not held.ntuples:
                raise Lost("The job is carried on elsewhere, or was canceled.")
            yield connection
            connection.execute(COMMIT)

    def save(
        self,
        connection: LibpqConnection,
        position: bytes,
        counts: Counts,
        total: int | None = None,
    ) -> None:
        """Saves, in the transaction of a step, how far the job is done and what the step adds to its counts."""
        numbers = (counts.examined, counts.sessions, counts.properties, counts.changes)
        params = *self._key(), position, *(b"%d" % number for number in numbers)
        connection.execute(SAVE, (*params, None if total is None else b"%d" % total))

    def release(self) -> None:
        """Lets any run carry the job on at once."""
        self.database.execute(RELEASE, *self._key())

    def _key(self) -> tuple[bytes, bytes, bytes]:
        return self.account.encode(), self.id.encode(), self.holder.encode()


Step = Callable[[], bool]
"""Does the next step of a job; returns whether the job is done."""


def claim_next(database: Database) -> Claim | None:
    """Claims the job that has waited for longest; None if there is nothing to do."""
    due = database.execute(FIND_DUE)
    for row in range(due.ntuples):
        account, id_ = (due.get_value(row, column) or b"" for column in range(2))
        holder = token_hex(8)
        found = database.execute(CLAIM, account, id_, holder.encode())
        if found.ntuples:
            return _claim(database, account.decode(), id_.decode(), holder, found)
    return None


def _claim(database: Database, account: str, id_: str, holder: str, found: PGresult) -> Claim:
    kind, request, position, is_dry_run, actor, started_at = (
        found.get_value(0, column) for column in range(6)
    )
    return Claim(
        database,
        account,
        id_,
        holder,
        (kind or b"").decode(),
        request or b"{}",
        position,
        is_dry_run == b"t",
        (actor or b"").decode(),
        (started_at or b"").decode(),
    )


def take_turn(
    step: Step,
    wait: Callable[[float], bool] = _NEVER_STOPPED.wait,
    seconds: float = _TURN_SECONDS,
) -> bool:
    """Does steps of a job until it is done, its turn is over or `wait` returns True; returns whether it is done."""
    end = monotonic() + seconds
    while True:
        began = monotonic()
        if step():
            return True
        rest = min(_REST * (monotonic() - began), _MOST_REST_SECONDS)
        if wait(rest) or monotonic() > end:
            return False


def number_in(result: PGresult, column: int) -> int:
    """The number in a column of the only row; 0 for NULL."""
    return int(result.get_value(0, column) or 0)


def text_in(result: PGresult, column: int) -> str:
    """The text in a column of the only row; an empty one for NULL."""
    return (result.get_value(0, column) or b"").decode()
