"""Reads from a standby, if it is not far behind; otherwise from the primary.

How far behind a standby is cannot be told from its clock or from its last transaction, which is old if nothing is
written. So a thread asks the primary for its position in the WAL, again and again. A standby that has replayed a
position which the primary had five seconds ago contains everything that was committed then.
"""

from threading import Event, Lock, Thread, local
from time import monotonic

from psycopg.pq.abc import PGresult

from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement, Step
from ccs_server.store.database import Database
from ccs_server.store.faults import StoreFault

_POSITION = Statement.of("wal_position", "SELECT pg_current_wal_lsn()")

# A standby that was promoted is no standby any more: whether it is the primary, its own word does not prove.
_HAS_REPLAYED = Statement.of(
    "has_replayed", "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::pg_lsn"
)

_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.05, 1.0


class StandbyDatabase(Database):
    """A standby of `primary`, for reads only. `execute` and `pipeline` use the primary if the standby cannot be used.

    The standby executes statements together with the check of its position, on the same connection. So the bound
    holds whichever of several standbys the connection leads to.
    """

    def __init__(self, url: str, settings: Settings, primary: Database) -> None:
        super().__init__(url, settings, variable="CCS_STANDBY_URL")
        self._primary = primary
        self._lag = settings.standby_lag
        self._interval = min(max(self._lag / 4, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)
        # Replaced as a whole, so that reading them needs no lock.
        self._positions: tuple[tuple[float, bytes], ...] = ()
        self._is_usable = False
        self._last = local()
        self._starting = Lock()
        self._follower: Thread | None = None
        self._is_released = Event()

    @property
    def answered(self) -> bool:
        """Whether the standby executed the last statement of this thread."""
        return getattr(self._last, "answered", False)

    def execute(self, statement: Statement, *params: bytes | None) -> PGresult:
        """Runs one statement that reads, on the standby if that is at most `standby_lag` seconds behind.

        Raises:
            Unavailable: neither can be used now.
            InvalidInput: a value cannot be stored.
        """
        found = self._from_standby((statement, params))
        return self._primary.execute(statement, *params) if found is None else found[0]

    def pipeline(self, *steps: Step) -> list[PGresult]:
        """Runs statements that read as one transaction, as `execute` runs one.

        Raises:
            Unavailable: neither can be used now.
            InvalidInput: a value cannot be stored.
        """
        found = self._from_standby(*steps)
        return self._primary.pipeline(*steps) if found is None else found

    def release(self) -> None:
        """Closes the idle connections, and stops following the primary until the next statement."""
        with self._starting:
            follower, self._follower = self._follower, None
        if follower:
            self._is_released.set()
            follower.join()
        self._is_usable = False
        super().release()

    def _from_standby(self, *steps: Step) -> list[PGresult] | None:
        """Returns the results; None if the standby cannot be used, or is too far behind."""
        self._last.answered = False
        if self._follower is None:
            self._start()
        position = self._oldest_position()
        if position is None or not self._is_usable:
            return None
        try:
            check, *results = super().pipeline((_HAS_REPLAYED, (position,)), *steps)
        except Unavailable:
            self._is_usable = False
            return None
        self._is_usable = self._last.answered = check.get_value(0, 0) == b"t"
        return results if self._is_usable else None

    def _oldest_position(self) -> bytes | None:
        """The oldest known position of the primary of those that are recent enough."""
        begin = monotonic() - self._lag
        return next((position for at, position in self._positions if at >= begin), None)

    def _start(self) -> None:
        with self._starting:
            if self._follower is None:
                self._is_released.clear()
                self._follower = Thread(target=self._follow, name="standby", daemon=True)
                self._follower.start()

    def _follow(self) -> None:
        """Records positions of the primary, and tries a standby that could not be used.

        So a standby that hangs makes few requests wait. While the primary is away, the positions become too old.
        """
        while True:
            try:
                self._record_position()
                if not self._is_usable:
                    self._try()
            except (Unavailable, StoreFault):
                pass  # requests note it by themselves; the next round tries again
            if self._is_released.wait(self._interval):
                return

    def _record_position(self) -> None:
        # What was committed before now is before the position that comes back.
        now = monotonic()
        position = self._primary.execute(_POSITION).get_value(0, 0)
        assert position is not None  # noqa: S101 - the function returns a value on every primary
        kept = (known for known in self._positions if known[0] >= now - self._lag)
        self._positions = (*kept, (now, position))

    def _try(self) -> None:
        position = self._oldest_position()
        if position is not None:
            # A kept connection may lead to a server that was promoted. A new one leads to the next standby, if the URL
            # has several hosts.
            super().release()
            found = super().execute(_HAS_REPLAYED, position)
            self._is_usable = found.get_value(0, 0) == b"t"
