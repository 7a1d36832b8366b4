"""Writers and readers at work on a few properties while other things happen, and all that they saw."""

import random
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from secrets import token_hex
from threading import Event

from tests.support.waiting import wait_until
from tests.trust.clients import Client, Crowd, Notes, Witness

# Of a namespace itself, and of two sessions.
REGISTERS = [f"{place}properties/p{n}" for place in ("", "s1/", "s2/") for n in range(3)]

# What a client waits after a refusal, so that many of them leave the processor to those who end the outage.
_PAUSE_SECONDS = 0.005


class Witnesses:
    """Threads that write and read the properties of one namespace, each over a connection of its own.

    They work for the length of `with witnesses.crowd`; `clients` is closed by its owner afterwards.
    """

    def __init__(
        self, connect: Callable[[], Client], clients: ExitStack, *, writers: int, readers: int
    ) -> None:
        self.notes = Notes()
        self.seed = random.SystemRandom().randrange(2**32)
        self.chance = random.Random(self.seed)
        self._connect = connect
        self._clients = clients
        self._namespace = f"witnessed-{token_hex(4)}"
        self._numbers = count()
        self._never = Event()
        actions = [self._writer() for _ in range(writers)]
        self.crowd = Crowd(actions + [self._reader() for _ in range(readers)])

    def await_writes(self, more: int, *, seconds: float = 60) -> None:
        """Returns when so many further writes have been acknowledged."""
        enough = self.notes.acknowledged + more
        wait_until(
            lambda: self.crowd.check() and self.notes.acknowledged >= enough, seconds=seconds
        )

    def read_all(self) -> None:
        """Reads every property, when all is calm again: what was acknowledged must be there."""
        witness = self._witness()
        for register in REGISTERS:
            path = f"/{self._namespace}/{register}"
            wait_until(lambda path=path: witness.read(path))  # type: ignore[misc]

    def _writer(self) -> Callable[[], None]:
        witness = self._witness()

        def write() -> None:
            self._pause_unless(witness.write(self._any_register(), f"v{next(self._numbers)}"))

        return write

    def _reader(self) -> Callable[[], None]:
        witness = self._witness()

        def read() -> None:
            self._pause_unless(witness.read(self._any_register()))

        return read

    def _witness(self) -> Witness:
        return Witness(self._clients.enter_context(closing(self._connect())), self.notes)

    def _any_register(self) -> str:
        return f"/{self._namespace}/{self.chance.choice(REGISTERS)}"

    def _pause_unless(self, answered: bool) -> None:
        if not answered:
            self._never.wait(_PAUSE_SECONDS)
