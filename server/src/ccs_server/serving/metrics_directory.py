"""The directory where the processes of one instance keep their metrics together, and what killed instances left."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "ccs-metrics-"

# Its lock ends with the last process of the instance, however it ends, and holds in containers that share a directory
# for temporary files but not their process ids.
_LOCK = "lock"

_log = logging.getLogger("ccs.metrics")


@contextmanager
def metrics_directory() -> Iterator[Path]:
    """A new directory for the length of the block; those that dead instances of the same user have left are removed."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        directory = Path(name)
        # Under its name only once it is locked, so that no other instance finds it free.
        unlocked = directory / "new-lock"
        with unlocked.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            unlocked.rename(directory / _LOCK)
            yield directory


def _sweep(directory: Path) -> None:
    for left in directory.glob(f"{_PREFIX}*"):
        try:
            if left.lstat().st_uid == os.geteuid():
                _remove_unlocked(left)
        except FileNotFoundError:
            # Another instance has just removed it, or it has no lock: it is just being made.
            continue
        except OSError as error:
            _log.warning(
                "%s is of an instance that has ended, but cannot be removed: %s.", left, error
            )


def _remove_unlocked(directory: Path) -> None:
    with (directory / _LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(directory)
