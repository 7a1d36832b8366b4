"""What a forked process must not share with its parent: connections and locks."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that each process makes for itself when it first needs it.

    A fork copies a connection that both processes then read from, and a lock that no thread of the
    child will release. The process id tells a child from its parent however it was forked;
    `os.register_at_fork` would miss servers that fork in C (uWSGI). What the parent made stays in the
    child untouched, because to discard it could wait for such a lock.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_process: dict[int, T] = {}

    def get(self) -> T:
        """This process's own."""
        process = os.getpid()
        try:
            return self._by_process[process]
        except KeyError:
            # Threads that come here together all get the same one, because setdefault is atomic.
            return self._by_process.setdefault(process, self._make())

    def inherited(self) -> bool:
        """Whether a process that this one was forked from made one."""
        return any(process != os.getpid() for process in list(self._by_process))
