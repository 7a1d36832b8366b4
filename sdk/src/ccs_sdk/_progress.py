"""Shows how far a job is, on a line of standard error that is written over on a terminal."""

import sys
from collections.abc import Callable

from ccs_sdk._states import Job
from ccs_sdk.errors import InvalidArgumentError

Progress = Callable[[Job], object]


def shown(progress: Progress | bool) -> Progress:  # noqa: FBT001 - True is the usual one
    """Returns what to call with the job whenever the service has told of it."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError("progress must be a bool or a function.")
    return _Line() if progress else _nothing


def _nothing(_job: Job) -> None:
    """Shows nothing."""


class _Line:
    """Writes a line for each state of a job; only a terminal shows those in between."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._length = 0

    def __call__(self, job: Job) -> None:
        if not (self._is_terminal or job.has_ended):
            return
        done = job.progress
        text = (
            f"{job.kind}, {job.state}: {done.examined:,} of about {max(done.total, done.examined):,} examined, "
            f"{done.sessions:,} sessions, {done.properties:,} properties, {done.changes:,} changes"
        )
        begin = "\r" if self._is_terminal else ""
        end = "\n" if job.has_ended else ""
        sys.stderr.write(f"{begin}{text.ljust(self._length)}{end}")
        sys.stderr.flush()
        self._length = len(text)
