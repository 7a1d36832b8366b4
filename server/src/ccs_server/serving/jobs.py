"""Carries jobs on for as long as the service runs. It has its own thread, because a job may take hours."""

from prometheus_client import Counter

from ccs_server.serving.background import Background
from ccs_server.serving.ending import Ending
from ccs_server.store.database import Database
from ccs_server.store.jobs.work import KINDS, carry_on

_TICK_SECONDS = 0.5

_ended = Counter(
    "ccs_jobs_total", "Jobs that this instance has ended, by kind and state.", ["kind", "state"]
)


class Jobs(Background):
    """A thread of the supervising process, at work for the length of the block."""

    def __init__(self, database: Database, ending: Ending) -> None:
        super().__init__("jobs", database, ending, tick=_TICK_SECONDS)
        for kind in KINDS:
            for state in ("done", "failed"):
                _ended.labels(kind, state)

    def _work(self) -> None:
        for kind, state in carry_on(self._database, self._wait):
            _ended.labels(kind, state).inc()
