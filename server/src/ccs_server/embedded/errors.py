"""The errors of the embedded PostgreSQL."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one sentence that says why and what to do."""


def reports_full_disk(text: str) -> bool:
    """Whether a message from PostgreSQL says that the disk is full, rather than its shared memory."""
    return "No space left on device" in text and "shared memory" not in text


def disk_is_full(data_dir: Path) -> EmbeddedError:
    """Returns the error for a full disk."""
    return EmbeddedError(
        f"The disk that holds the data directory {data_dir} is full; free some space on it."
    )


@contextmanager
def embedded_errors(data_dir: Path) -> Iterator[None]:
    """Converts an OSError in the block to an EmbeddedError.

    Raises:
        EmbeddedError: the block raised an OSError.
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
