"""Objects that a forked process must not share with its parent: connections and locks."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """An object that each process creates when it first needs it.

    After a fork, both processes would read from a copied connection, and no thread of the
    child would release a copied lock. The process id distinguishes a child from its parent;
    `os.register_at_fork` would miss servers that fork in C (uWSGI). The child keeps the parent's object
    without using it, because discarding it could wait for such a lock.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._by_process: dict[int, T] = {}

    def get(self) -> T:
        """Returns the object of this process."""
        process = os.getpid()
        try:
            return self._by_process[process]
        except KeyError:
            # Concurrent threads all get the same object, because setdefault is atomic.
            return self._by_process.setdefault(process, self._make())

    def existing(self) -> T | None:
        """Returns the object of this process if it has been created."""
        return self._by_process.get(os.getpid())

    def inherited(self) -> bool:
        """Returns whether a process that this one was forked from has created an object."""
        return any(process != os.getpid() for process in list(self._by_process))
