"""Locks on files (`flock`): the kernel releases one when the last process that has the file open ends, however it ends.

`CCS_DATA_DIR/lock` is held while the server is started or stopped, `users` by every process that uses the server, and
`server` by the server itself: see `hold`.
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

# Files that must not stay open in a process that is forked meanwhile, and what keeps one from being forked at the
# moment between the opening of such a file and its being noted here.
_held: set[FileIO] = set()
_opening = Lock()


def open_for(path: Path, mode: Literal["ab", "wb"] = "ab") -> FileIO:
    """Opens a file of the data directory, made if need be; it belongs to whom the directory belongs to.

    Symbolic links are not followed: root may run in a directory that another user can write to.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)

    # Unbuffered, so that nothing is written twice where a process is forked.
    file = open(path, mode, buffering=0, opener=opener)  # noqa: SIM115 - Path.open takes no opener
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file


@contextmanager
def exclusive(path: Path, give_up: Callable[[], bool]) -> Iterator[bool]:
    """Holds the lock for the length of the block; yields False where `give_up()` said so before it was free."""
    with open_for(path) as file:
        while not _take(file):
            if give_up():
                yield False
                return
            sleep(POLL_SECONDS)
        try:
            yield True
        finally:
            # A process forked meanwhile still has the file open, and must not keep the lock.
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def hold(path: Path) -> Iterator[int | None]:
    """The lock as a file descriptor for programs to inherit, or None where it is not free.

    The programs that inherit it, and all that they fork, hold it until the last of them has ended. So it is free if
    none of them lives, whatever process ids tell: of zombies, of processes in other containers, of ids given away
    again.
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
    """Whether a program that inherited the lock lives."""
    with hold(path) as descriptor:
        return descriptor is None


def _take(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _after_fork_in_child() -> None:
    """Closes what the process has inherited by chance: a worker must not pass for the server."""
    _opening.release()
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(
    before=_opening.acquire,
    after_in_parent=_opening.release,
    after_in_child=_after_fork_in_child,
)
