"""What goes wrong with the embedded PostgreSQL, told in a sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one sentence that says why and what to do."""


def tells_of_full_disk(text: str) -> bool:
    """Whether a message of PostgreSQL's says that the disk is full; it says nearly the same of shared memory."""
    return "No space left on device" in text and "shared memory" not in text


def disk_is_full(data_dir: Path) -> EmbeddedError:
    """The error where PostgreSQL or we could not write for want of space."""
    return EmbeddedError(
        f"The disk that holds the data directory {data_dir} is full; free some space on it."
    )


@contextmanager
def explained(data_dir: Path) -> Iterator[None]:
    """Turns an error of the file system in the block into a sentence.

    Raises:
        EmbeddedError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_is_full(data_dir) from error
        raise EmbeddedError(
            f"The data directory {data_dir} cannot be written ({error.strerror or error}); "
            "set CCS_DATA_DIR to a directory that can."
        ) from error
