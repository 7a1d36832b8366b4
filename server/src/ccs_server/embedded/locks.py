"""Locks on files (`flock`).

The kernel releases a lock when the last process that has the file open ends, even if it is killed. In CCS_DATA_DIR,
`lock` is held while the server is started or stopped, `users` by every process that uses the server, and `server` by
the server itself (see `hold`).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Literal

POLL_SECONDS = 0.02

# Files that a forked process must close. `_opening` prevents a fork between the opening of such a file and its addition
# to the set.
_held: set[FileIO] = set()
_opening = Lock()


def open_for(path: Path, mode: Literal["ab", "wb"] = "ab") -> FileIO:
    """Opens a file in the data directory, and creates it if necessary with the directory's owner.

    Symbolic links are not followed, since root may run in a directory that another user can write to.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)

    # Unbuffered, so that a forked process does not write the buffer a second time.
    file = open(path, mode, buffering=0, opener=opener)  # noqa: SIM115 - Path.open takes no opener
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file


@contextmanager
def exclusive(path: Path, give_up: Callable[[], bool]) -> Iterator[bool]:
    """Holds the lock during the block. Yields False, without the lock, if `give_up()` returns True first."""
    with open_for(path) as file:
        while not _take(file):
            if give_up():
                yield False
                return
            sleep(POLL_SECONDS)
        try:
            yield True
        finally:
            # Unlock explicitly, since a process that was forked meanwhile still has the file open.
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def hold(path: Path) -> Iterator[int | None]:
    """Takes the lock and yields a file descriptor for programs to inherit; None if the lock is held already.

    The programs that inherit the descriptor, and all their children, hold the lock until the last of them has ended. So
    the lock tells reliably whether any of them is alive. Process ids do not: they may belong to a zombie, to a process
    in another container, or to a later process.
    """
    with _opening:
        file = open_for(path)
        _held.add(file)
    try:
        yield file.fileno() if _take(file) else None
    finally:
        _held.discard(file)
        file.close()


def is_held(path: Path) -> bool:
    """Whether a program that inherited the lock is still alive."""
    with hold(path) as descriptor:
        return descriptor is None


def _take(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _after_fork_in_child() -> None:
    """Closes the inherited files, so that a worker does not hold the lock of the server."""
    _opening.release()
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(
    before=_opening.acquire,
    after_in_parent=_opening.release,
    after_in_child=_after_fork_in_child,
)
