"""A thread of the supervising process that does something again and again, through outages and faults."""

import logging
from abc import ABC, abstractmethod
from threading import Thread
from types import TracebackType
from typing import Self

from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import EmbeddedError
from ccs_server.serving.ending import Ending
from ccs_server.store.database import Database


class Background(ABC):
    """Does its work every `tick` seconds until the end of the service, and logs to `ccs.<name>` what goes wrong.

    The end of the block asks for that end, and waits for the work at hand no longer than the end may take.
    """

    def __init__(self, name: str, database: Database, ending: Ending, *, tick: float) -> None:
        self._name = name
        self._log = logging.getLogger(f"ccs.{name}")
        self._database = database
        self._tick = tick
        self._ending = ending
        self._stop = ending.asked
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.ask()
        self._thread.join(self._ending.remaining())

    @abstractmethod
    def _work(self) -> None:
        """Does the work once. It rests by `_wait`, and ends soon when that says so."""

    def _wait(self, seconds: float) -> bool:
        """Rests for so many seconds, or until the service ends, and says whether it does."""
        return self._stop.wait(seconds)

    def _run(self) -> None:
        while not self._wait(self._tick):
            try:
                self._work()
            except (Unavailable, EmbeddedError) as error:
                self._log.warning("%s", error)
            except Exception:  # noqa: BLE001 - a fault of ours must not end the thread: the next round may fare better
                self._log.exception("The %s has failed.", self._name)
        self._database.release()
