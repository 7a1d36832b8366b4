"""Killing, stopping and continuing a process with all that it has started."""

from collections.abc import Iterable
from signal import SIGKILL, Signals

import psutil


def signal_tree(pid: int, number: Signals) -> None:
    """Sends a signal to a process and then to all its descendants; with SIGKILL, returns when they are gone."""
    try:
        parent = psutil.Process(pid)
        # The parent first, and stopped, so that it cannot start another child meanwhile.
        parent.suspend()
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    send(processes, number)
    if number == SIGKILL:
        # A parent of ours stays a zombie until its Popen is asked; its children are gone for good.
        psutil.wait_procs(processes[1:], timeout=10)


def send(processes: Iterable[psutil.Process], number: Signals) -> None:
    """Sends a signal to each that still lives."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
