"""Keeps the change logs up to date for as long as the service runs."""

from time import monotonic

from prometheus_client import Counter

from ccs_server.domain.errors import Unavailable
from ccs_server.serving.background import Background
from ccs_server.serving.ending import Ending
from ccs_server.store.database import Database
from ccs_server.store.sequencing import is_needed, sequence

_TICK_SECONDS = 0.05

_IDLE_SECONDS = 2.0
"""How often it is looked whether the first account has begun to log changes."""

_AFTER_FAILURE_SECONDS = 1.0

_logged = Counter(
    "ccs_changes_logged_total", "Changes that this instance has given their place in the log."
)


class Sequencer(Background):
    """A thread of the supervising process, at work for the length of the block."""

    def __init__(self, database: Database, ending: Ending) -> None:
        super().__init__("sequencer", database, ending, tick=_TICK_SECONDS)
        self._is_needed = False
        self._look_at = 0.0

    def _work(self) -> None:
        try:
            if not self._is_needed:
                if monotonic() < self._look_at:
                    return
                self._look_at = monotonic() + _IDLE_SECONDS
                self._is_needed = is_needed(self._database)
            if self._is_needed:
                _logged.inc(sequence(self._database))
        except Unavailable:
            self._wait(_AFTER_FAILURE_SECONDS)
            raise
