"""Waiting and working in the background, under asyncio and trio."""

from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

sleep = anyio.sleep

_CLEANUP_SECONDS: Final = 1.0


class AsyncBackground:
    """A function that runs in a task beside a block, until it is told to stop."""

    def __init__(self) -> None:
        self._stop = anyio.Event()
        self._group: TaskGroup = anyio.create_task_group()

    async def start(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Starts the function. The same task calls `finish`."""
        await self._group.__aenter__()
        self._group.start_soon(run)

    @property
    def stopped(self) -> bool:
        """Whether the function was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Tells the function to stop."""
        self._stop.set()

    async def wait(self, seconds: float) -> bool:
        """Waits until the function is told to stop, at most some seconds. Returns whether it was."""
        with anyio.move_on_after(seconds):
            await self._stop.wait()
        return self._stop.is_set()

    async def finish(self) -> None:
        """Ends the function, at whatever it waits for."""
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)


@contextmanager
def cleanup(error: BaseException | None) -> Generator[None]:
    """Lets the block run for a second at most if it ends what was cancelled by `error`."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        with anyio.move_on_after(_CLEANUP_SECONDS, shield=True):
            yield
    else:
        yield
