"""A thread of a worker that does something again and again, through faults."""

import logging
from collections.abc import Callable
from threading import Event, Thread

_log = logging.getLogger("ccs.repeating")


def repeat(work: Callable[[], None], *, seconds: float, stop: Event, name: str) -> None:
    """Does `work` now and every `seconds` until `stop`, in a thread of that name.

    An exception does not end the thread, which would take a protection or a metric away unnoticed. Of several failures
    in a row the first is logged, so that a fault that stays does not fill the log.
    """

    def run() -> None:
        has_failed = False
        while True:
            try:
                work()
                has_failed = False
            except Exception:  # noqa: BLE001 - whatever it is, the next round may fare better
                if not has_failed:
                    _log.exception("The thread %s has failed; it tries again.", name)
                has_failed = True
            if stop.wait(seconds):
                return

    Thread(target=run, name=name, daemon=True).start()
