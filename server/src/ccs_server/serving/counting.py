"""Counts what accounts with a quota store. It runs in its own thread, because a purge may take minutes."""

from ccs_server.serving.background import Background
from ccs_server.serving.ending import Ending
from ccs_server.store.counting import NEAR_PART, count_due
from ccs_server.store.database import Database

_TICK_SECONDS = 1.0


class Counting(Background):
    """A thread of the supervising process, at work for the length of the block.

    Args:
        database: where to count.
        ending: the end of the service.
        interval: seconds until an account is counted again.
    """

    def __init__(self, database: Database, ending: Ending, interval: float) -> None:
        tick = min(_TICK_SECONDS, interval * NEAR_PART)
        super().__init__("counting", database, ending, tick=tick)
        self._interval = interval

    def _work(self) -> None:
        count_due(self._database, self._interval, wait=self._wait)
