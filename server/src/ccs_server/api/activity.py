"""Counts the saves and reads of accounts, for the extension's `activity`.

A request adds to a dictionary. A thread adds the counts to the database every ten seconds and before the process ends,
so a kill loses those of ten seconds at most, and so does an outage of the database. Only accounts whose credential was
valid are counted, so clients cannot make this grow.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from operator import attrgetter
from threading import Event, Lock, Thread
from time import time

from werkzeug.routing import Map

from ccs_server.domain.errors import ContextError
from ccs_server.http.exchanges import Consumer, Exchange
from ccs_server.store.activity import record
from ccs_server.store.database import Database

INTERVAL_SECONDS = 10.0
"""How often the counts are added to the database."""

_END_SECONDS = 1.0
"""How long the end of the process may wait for the last counts, if the database does not respond."""

_MINUTE = 60

_READING = frozenset({"GET", "HEAD"})
_SAVING = frozenset({"PUT", "PATCH", "POST", "DELETE"})

_POSTED_READS = frozenset({"v2.DocumentProperties", "ext find.Find"})
_OF_THE_EXTENSION = frozenset(
    {"ext find.Find", "ext export and import.Exports", "ext export and import.Imports"}
)

_log = logging.getLogger("ccs.activity")

_kind = attrgetter("account", "method", "rule", "status")


class Activity:
    """The counts of this process that are not in the database yet.

    The thread begins with the first count: there may have been a fork since this was made.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._counts = self._none()
        self._stop = Event()
        self._recorder: Thread | None = None

    def add(self, account: str, *, saves: int = 0, reads: int = 0) -> None:
        """Counts saves and reads of now."""
        if not saves and not reads:
            return
        with self._lock:
            counts = self._counts[account, int(time()) // _MINUTE]
            counts[0] += saves
            counts[1] += reads
            if self._recorder is None:
                self._recorder = Thread(target=self._run, name="activity", daemon=True)
                self._recorder.start()

    def record(self) -> None:
        """Adds the counts to the database. If it cannot be used, they are lost: it then serves no requests either."""
        with self._lock:
            counts, self._counts = self._counts, self._none()
        if not counts:
            return
        try:
            record(self._database, counts)
        except ContextError as error:
            _log.warning("Saves and reads of %d accounts were not counted: %s", len(counts), error)
        except Exception:  # noqa: BLE001 - a fault of ours must not end the thread: counts would pile up
            _log.exception("Saves and reads of %d accounts were not counted.", len(counts))

    def end(self) -> None:
        """Adds the last counts to the database, and stops."""
        self._stop.set()
        if self._recorder is not None:
            self._recorder.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            self.record()
        self.record()

    @staticmethod
    def _none() -> defaultdict[tuple[str, int], list[int]]:
        return defaultdict(lambda: [0, 0])


def counting(activity: Activity, routes: Map) -> Consumer:
    """Returns what counts the exchanges of an application with these routes.

    A request that was refused counts nothing. The operations of a batch are counted by its view.
    """
    kinds = _kinds(routes)

    def count(exchanges: Sequence[Exchange]) -> None:
        for (account, method, rule, status), number in Counter(map(_kind, exchanges)).items():
            kind = kinds.get((method, rule))
            if account and kind and status < HTTPStatus.BAD_REQUEST:
                activity.add(account, **{kind: number})

    return count


def _kinds(routes: Map) -> Mapping[tuple[str, str], str]:
    """Whether a request saves or reads, by its method and its rule."""
    kinds = {}
    for rule in routes.iter_rules():
        version = rule.endpoint.partition(".")[0]
        if version in {"v1", "v2"} or rule.endpoint in _OF_THE_EXTENSION:
            reading = _READING | ({"POST"} if rule.endpoint in _POSTED_READS else set())
            for method in (rule.methods or set()) & (_READING | _SAVING):
                kinds[method, rule.rule] = "reads" if method in reading else "saves"
    return kinds
