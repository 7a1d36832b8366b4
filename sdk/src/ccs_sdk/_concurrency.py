"""Waiting and working in the background, with threads."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

sleep = time.sleep


class Background:
    """A function that runs in a thread beside a block, until it is told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def start(self, run: Callable[[], None]) -> None:
        """Starts the function. The same thread calls `finish`."""
        threading.Thread(target=run, name="ccs-lease", daemon=True).start()

    @property
    def stopped(self) -> bool:
        """Whether the function was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Tells the function to stop."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Waits until the function is told to stop, at most some seconds. Returns whether it was."""
        return self._stop.wait(seconds)

    def finish(self) -> None:
        """Does not wait for the function, which may be in the middle of a request."""


def cleanup(error: BaseException | None) -> AbstractContextManager[None]:  # noqa: ARG001 - for tasks
    """Lets the block run; a thread cannot be cancelled."""
    return nullcontext()
