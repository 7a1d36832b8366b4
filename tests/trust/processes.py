"""Sends signals to a process and all its descendants."""

from collections.abc import Iterable
from signal import SIGKILL, Signals

import psutil


def signal_tree(pid: int, number: Signals) -> None:
    """Sends a signal to a process and its descendants. With SIGKILL, waits until they are gone."""
    try:
        parent = psutil.Process(pid)
        # Suspend the parent first, so that it cannot start another child.
        parent.suspend()
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    send(processes, number)
    if number == SIGKILL:
        # If the parent is our child, it stays a zombie until its Popen waits for it. Its children are gone.
        psutil.wait_procs(processes[1:], timeout=10)


def send(processes: Iterable[psutil.Process], number: Signals) -> None:
    """Sends a signal to each process that still runs."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
