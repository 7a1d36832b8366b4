"""Carries on the jobs that there are, of every kind."""

import logging
import traceback
from collections.abc import Callable
from threading import Event

from ccs_server.domain.errors import Unavailable
from ccs_server.store.database import Database
from ccs_server.store.faults import StoreFault
from ccs_server.store.jobs.deletion import Deletion
from ccs_server.store.jobs.erasure import Erasure
from ccs_server.store.jobs.indexing import Indexing
from ccs_server.store.jobs.resource import end_job
from ccs_server.store.jobs.run import Claim, Lost, Step, claim_next, take_turn

_log = logging.getLogger("ccs.jobs")

_NEVER_STOPPED = Event()

KINDS: dict[str, Callable[[Claim], Step]] = {
    "erase": lambda claim: Erasure(claim).step,
    "delete": lambda claim: Deletion(claim).step,
    "index": lambda claim: Indexing(claim).step,
}


def carry_on(
    database: Database, wait: Callable[[float], bool] = _NEVER_STOPPED.wait
) -> list[tuple[str, str]]:
    """Carries jobs on until there is nothing to do, or `wait` returns True; returns the kind and state of each ended.

    Args:
        database: the database.
        wait: waits for the given number of seconds; returns True, possibly early, to stop.

    Raises:
        Unavailable: the database cannot be used now; what was done is saved.
    """
    ended = []
    while not wait(0) and (claim := claim_next(database)):
        state = _take_turn(claim, wait)
        if state is not None:
            ended.append((claim.kind, state))
    return ended


def _take_turn(claim: Claim, wait: Callable[[float], bool]) -> str | None:
    """Carries a job on for a turn; returns the state in which it has ended, if it has."""
    try:
        is_done = take_turn(KINDS[claim.kind](claim), wait)
    except Lost:
        return None
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours must end the job, and not be tried forever
        # The message of an error may have a part of what is being erased.
        where = "".join(traceback.format_tb(error.__traceback__))
        code = error.sqlstate if isinstance(error, StoreFault) else ""
        _log.error("The job %s has failed: %s %s\n%s", claim.id, type(error).__name__, code, where)
        state = "failed"
    else:
        if not is_done:
            claim.release()
            return None
        state = "done"
    has_ended = end_job(
        claim.database, claim.account, claim.id, state=state, actor=claim.actor, holder=claim.holder
    )
    return state if has_ended else None
