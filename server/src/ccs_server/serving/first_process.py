"""What the first process of a container owes to the others: to reap those whose parents have ended.

The embedded PostgreSQL outlives what starts it, so in a container it becomes a child of process 1, as its own children
do if it is killed. A process that is not reaped keeps its id as a zombie for ever. And the kernel delivers to process 1
only signals that it handles.
"""

import os
import signal
from typing import NoReturn

_FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}


def leave_reaping_to_parent() -> None:
    """Where this is process 1, goes on in a child of it; process 1 itself stays to reap, and ends as that child does.

    To be called before any thread is started. The service does not reap by itself, because waiting for all children
    would take the exit codes of workers and programs from those who wait for them.
    """
    if os.getpid() == 1:
        _fork()


def _fork() -> None:
    awaited = {signal.SIGCHLD, *_FORWARDED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child:
        _reap_until_end_of(child, awaited)
    # A terminal sends ^C to the group of process 1, which forwards it: once is enough.
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reap_until_end_of(child: int, awaited: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(awaited)
        if number in _FORWARDED:
            os.kill(child, number)
            continue
        code = _reap(child)
        if code is not None:
            os._exit(code if code >= 0 else 128 - code)


def _reap(child: int) -> int | None:
    """Reaps all children that have ended; returns the exit code of `child` if it is one of them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None
