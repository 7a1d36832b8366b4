"""What `ccs serve` does beside serving: it purges, and starts an embedded PostgreSQL that has died."""

import logging
from time import monotonic

from prometheus_client import Counter, Gauge, Summary

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.serving.background import Background
from ccs_server.serving.ending import Ending
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.purge import purge

_log = logging.getLogger("ccs.upkeep")

_TICK_SECONDS = 1.0

_purges = Summary("ccs_purge_duration_seconds", "How long purges took, their pauses included.")
_failed_purges = Counter("ccs_purge_failures_total", "Purges that failed, as without a database.")
_purged = Counter("ccs_purged_rows_total", "Rows that this instance has purged, by kind.", ["kind"])
_purged_at = Gauge(
    "ccs_purge_last_success_timestamp_seconds",
    "When this instance has last finished a purge, or has started.",
    multiprocess_mode="max",
)


class Upkeep(Background):
    """A thread of the supervising process, at work for the length of the block."""

    def __init__(
        self,
        database: Database,
        ending: Ending,
        settings: Settings,
        embedded: EmbeddedPostgres | None,
    ) -> None:
        tick = min(_TICK_SECONDS, settings.purge_interval)
        super().__init__("upkeep", database, ending, tick=tick)
        self._interval = settings.purge_interval
        self._embedded = embedded
        self._purge_at = monotonic() + self._interval
        _purged_at.set_to_current_time()

    def _work(self) -> None:
        self._revive()
        if monotonic() >= self._purge_at:
            self._purge_at = monotonic() + self._interval
            self._purge()

    def _revive(self) -> None:
        if self._embedded and self._embedded.ensure_running(self._stop.is_set):
            _log.warning("The embedded PostgreSQL had ended; it runs again.")

    def _purge(self) -> None:
        with _purges.time(), _failed_purges.count_exceptions():
            purged = purge(self._database, wait=self._wait)
        _purged_at.set_to_current_time()
        for kind, count in purged._asdict().items():
            _purged.labels(kind).inc(count)
        if any(purged):
            _log.info(
                "Purged %s.", ", ".join(f"{n} {name}" for name, n in purged._asdict().items())
            )
