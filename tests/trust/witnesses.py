"""Writers and readers of a few properties, and everything that they observe."""

import random
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from secrets import token_hex
from threading import Event

from tests.support.waiting import wait_until
from tests.trust.clients import Client, Crowd, Notes, Witness

# Properties of the namespace itself, and of two sessions.
REGISTERS = [f"{place}properties/p{n}" for place in ("", "s1/", "s2/") for n in range(3)]

# How long a client waits after a refusal, which leaves the processor to the processes that recover.
_PAUSE_SECONDS = 0.005


class Witnesses:
    """Threads that write and read the properties of one namespace, each with its own connection.

    They run for the length of `with witnesses.crowd`, and each waits for `pause` seconds after a call. The owner of
    `clients` closes it afterwards.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        clients: ExitStack,
        *,
        writers: int,
        readers: int,
        pause: float = 0.0,
    ) -> None:
        self.notes = Notes()
        self.seed = random.SystemRandom().randrange(2**32)
        self.chance = random.Random(self.seed)
        self._connect = connect
        self._clients = clients
        self._pause = pause
        self._namespace = f"witnessed-{token_hex(4)}"
        self._numbers = count()
        self._never = Event()
        actions = [self._writer() for _ in range(writers)]
        self.crowd = Crowd(actions + [self._reader() for _ in range(readers)])

    def await_writes(self, more: int, *, seconds: float = 60) -> None:
        """Waits until `more` further writes have been acknowledged."""
        enough = self.notes.acknowledged + more
        wait_until(
            lambda: self.crowd.check() and self.notes.acknowledged >= enough, seconds=seconds
        )

    def read_all(self) -> None:
        """Reads every property at the end, when acknowledged writes must be visible."""
        witness = self._witness()
        for register in REGISTERS:
            path = f"/{self._namespace}/{register}"
            wait_until(lambda path=path: witness.read(path))  # type: ignore[misc]

    def _writer(self) -> Callable[[], None]:
        witness = self._witness()

        def write() -> None:
            self._pause_after(witness.write(self._any_register(), f"v{next(self._numbers)}"))

        return write

    def _reader(self) -> Callable[[], None]:
        witness = self._witness()

        def read() -> None:
            self._pause_after(witness.read(self._any_register()))

        return read

    def _witness(self) -> Witness:
        return Witness(self._clients.enter_context(closing(self._connect())), self.notes)

    def _any_register(self) -> str:
        return f"/{self._namespace}/{self.chance.choice(REGISTERS)}"

    def _pause_after(self, succeeded: bool) -> None:
        if pause := self._pause if succeeded else max(self._pause, _PAUSE_SECONDS):
            self._never.wait(pause)
