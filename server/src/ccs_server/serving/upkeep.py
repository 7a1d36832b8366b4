"""What `ccs serve` does beside serving: it purges, and starts an embedded PostgreSQL that has died."""

import logging
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import EmbeddedError, EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.purge import purge

_log = logging.getLogger("ccs.upkeep")

_TICK_SECONDS = 1.0


class Upkeep:
    """A thread of the supervising process, at work for the length of the block."""

    def __init__(
        self, database: Database, settings: Settings, embedded: EmbeddedPostgres | None
    ) -> None:
        self._database = database
        self._interval = settings.purge_interval
        self._embedded = embedded
        self._stop = Event()
        self._thread = Thread(target=self._run, name="upkeep", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        purge_at = monotonic() + self._interval
        while not self._stop.wait(min(_TICK_SECONDS, self._interval)):
            try:
                self._revive()
                if monotonic() >= purge_at:
                    purge_at = monotonic() + self._interval
                    self._purge()
            except (Unavailable, EmbeddedError) as error:
                _log.warning("%s", error)
            except Exception:  # noqa: BLE001 - a fault of ours must not end the upkeep: the next round may fare better
                _log.exception("The upkeep has failed.")
        self._database.release()

    def _revive(self) -> None:
        if self._embedded and self._embedded.ensure_running(self._stop.is_set):
            _log.warning("The embedded PostgreSQL had ended; it runs again.")

    def _purge(self) -> None:
        purged = purge(self._database, wait=self._stop.wait)
        if any(purged):
            _log.info(
                "Purged %s.", ", ".join(f"{n} {name}" for name, n in purged._asdict().items())
            )
