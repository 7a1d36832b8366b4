"""Leases a session to one holder at a time, and fences off those who have lost it.

A fence is a number that is larger for each later grant of the same session. A write that carries one takes place only
while the session's lease has that fence, so a holder that was too slow cannot overwrite what its successor has saved.
"""

from collections.abc import Sequence
from math import ceil

from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import Leased, PreconditionFailed
from ccs_server.store.connection import Statement, Step
from ccs_server.store.operations.base import Operation, Outcome

# In all statements: $1 account, $2 namespace, $3 session id.

# $4 owner, $5 seconds. Returns the fence and the expiry, or no row if there is no such namespace or the lease is held.
# The first fence of a row is the time in milliseconds: a row may have been purged, and fences must not repeat.
GRANT_LEASE = Statement.of(
    "grant_lease",
    """
    WITH granted AS (
        INSERT INTO lease (account, namespace_id, session_id, owner, fence, expires_at, purge_at)
        SELECT $1, id, $3, $4, floor(extract(epoch FROM now()) * 1000)::bigint,
            now() + $5::integer * interval '1 second',
            now() + ($5::integer + 86400) * interval '1 second'
        FROM namespace WHERE account = $1 AND name = $2
        ON CONFLICT (account, namespace_id, session_id) DO UPDATE
        SET owner = excluded.owner, fence = greatest(lease.fence + 1, excluded.fence),
            expires_at = excluded.expires_at
        WHERE ccs_has_expired(lease.expires_at)
        RETURNING fence, expires_at
    )
    SELECT fence, to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM granted
    """,
)

# $4 fence, $5 owner, $6 seconds. Returns as GRANT_LEASE, or no row if the lease does not have this fence now.
RENEW_LEASE = Statement.of(
    "renew_lease",
    """
    WITH renewed AS (
        UPDATE lease SET owner = $5, expires_at = now() + $6::integer * interval '1 second'
        WHERE account = $1
            AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
            AND session_id = $3 AND fence = $4::bigint AND expires_at > now()
        RETURNING fence, expires_at
    )
    SELECT fence, to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM renewed
    """,
)

# $4 fence.
RELEASE_LEASE = Statement.of(
    "release_lease",
    """
    UPDATE lease SET expires_at = now()
    WHERE account = $1
        AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND session_id = $3 AND fence = $4::bigint AND expires_at > now()
    """,
)

# Returns owner, expiry, and the seconds until then; no row if nobody has the lease.
READ_LEASE = Statement.of(
    "read_lease",
    """
    SELECT owner, to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        extract(epoch FROM expires_at - now())
    FROM lease
    WHERE account = $1
        AND namespace_id = (SELECT id FROM namespace WHERE account = $1 AND name = $2)
        AND session_id = $3 AND expires_at > now()
    """,
)


class Lease(Operation, frozen=True, kw_only=True):
    """Takes the lease of a session, or renews it; its outcome is the fence and the expiry.

    Attributes:
        owner: a label of the holder, which others see; it proves nothing.
        seconds: how long the lease lasts from now.
        fence: the fence of the lease to renew; None to take it.
    """

    owner: str
    seconds: int
    fence: int | None = None

    @property
    def creates(self) -> bool:  # noqa: D102 - as its base's
        return self.fence is None

    def alone(self) -> Sequence[Step]:  # noqa: D102
        return [self._step()]

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome | None:  # noqa: D102
        return _granted(results[0]) if results[0].ntuples else None

    def locked(self) -> Sequence[Step]:  # noqa: D102
        return [self._step(), (READ_LEASE, self.document.params())]

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:  # noqa: D102
        granted, holder = results
        if granted.ntuples:
            return _granted(granted)
        if self.fence is not None:
            raise PreconditionFailed("The lease does not have this fence now; take it again.")
        raise _held(holder)

    def _step(self) -> Step:
        address = self.document.params()
        owner, seconds = self.owner.encode(), b"%d" % self.seconds
        if self.fence is None:
            return GRANT_LEASE, (*address, owner, seconds)
        return RENEW_LEASE, (*address, b"%d" % self.fence, owner, seconds)


class Release(Operation, frozen=True, kw_only=True):
    """Ends the lease of a session if it has this fence; else does nothing."""

    fence: int

    def alone(self) -> Sequence[Step]:  # noqa: D102 - as its base's
        return [(RELEASE_LEASE, (*self.document.params(), b"%d" % self.fence))]

    def outcome_alone(self, results: Sequence[PGresult]) -> Outcome:  # noqa: ARG002, D102
        return {}

    def locked(self) -> Sequence[Step]:  # noqa: D102
        return self.alone()

    def outcome_locked(self, results: Sequence[PGresult]) -> Outcome:  # noqa: D102
        return self.outcome_alone(results)


def _granted(result: PGresult) -> Outcome:
    fence, expires_at = (result.get_value(0, column) or b"" for column in range(2))
    return {"fence": int(fence), "expiresAt": expires_at.decode()}


def _held(holder: PGresult) -> Leased:
    """The error for a lease that is held. It may have ended meanwhile, so that nobody has it now."""
    if not holder.ntuples:
        return Leased("The session was leased just now; try again.", retry_after=1, lease=None)
    owner, expires_at, seconds = (holder.get_value(0, column) or b"" for column in range(3))
    return Leased(
        "The session is leased by another holder; try again when the lease has ended.",
        retry_after=max(1, ceil(float(seconds))),
        lease={"owner": owner.decode(), "expiresAt": expires_at.decode()},
    )
