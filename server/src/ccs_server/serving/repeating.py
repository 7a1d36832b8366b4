"""A thread of a worker that does something again and again, through faults."""

import logging
from collections.abc import Callable
from threading import Event, Thread


def repeat(work: Callable[[], None], *, seconds: float, stop: Event, name: str) -> None:
    """Calls `work` now and every `seconds` until `stop` is set, in a thread of that name.

    An exception does not end the thread: what it protects or measures would be lost unnoticed. Of several failures in a
    row only the first is logged, to `ccs.<name>`, so that a lasting fault does not fill the log.
    """
    log = logging.getLogger(f"ccs.{name}")

    def run() -> None:
        has_failed = False
        while True:
            try:
                work()
                has_failed = False
            except Exception:
                if not has_failed:
                    log.exception("The thread %s has failed; it tries again.", name)
                has_failed = True
            if stop.wait(seconds):
                return

    Thread(target=run, name=name, daemon=True).start()
