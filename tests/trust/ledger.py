"""Clients that save one new property after another, so that a restored store can be held against what they know."""

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from threading import Event

from tests.support.waiting import wait_until
from tests.trust.clients import Client, Crowd, Notes, Witness

_PAUSE_SECONDS = 0.005


class Ledger:
    """Writers, each with a connection and a session of its own, and all properties that they have saved.

    They work for the length of `with ledger.crowd`; `clients` is closed by its owner afterwards. Moments are those of
    the machine's monotonic clock.
    """

    def __init__(
        self, connect: Callable[[], Client], clients: ExitStack, *, writers: int = 4
    ) -> None:
        self.notes = Notes()
        self._writers = writers
        self._connect = connect
        self._clients = clients
        self._never = Event()
        self.crowd = Crowd([self._writer(f"/ledger/s{n}/properties") for n in range(writers)])

    def await_writes(self, more: int, *, seconds: float = 60) -> None:
        """Returns when so many further writes have been acknowledged."""
        enough = self.notes.acknowledged + more
        wait_until(
            lambda: self.crowd.check() and self.notes.acknowledged >= enough, seconds=seconds
        )

    def acknowledged_before(self, moment: float) -> set[str]:
        """The properties whose write was acknowledged by then; one that never was has returned at no moment."""
        return {save.register for save in self.notes.history if save.returned <= moment}

    def sent_after(self, moment: float) -> set[str]:
        """The properties whose write was sent then or later, acknowledged or not."""
        return {save.register for save in self.notes.history if save.invoked >= moment}

    def stored(self, client: Client) -> set[str]:
        """The properties that a service has, each with the value that was saved."""
        found = set()
        for session in range(self._writers):
            path = f"/ledger/s{session}/properties"
            answer = client.v1("GET", path)
            assert answer.status == 200, answer
            for name, value in json.loads(answer.body).items():
                assert value == name
                found.add(f"{path}/{name}")
        return found

    def _writer(self, path: str) -> Callable[[], None]:
        witness = Witness(self._clients.enter_context(closing(self._connect())), self.notes)
        names = (f"p{number}" for number in count())

        def write() -> None:
            name = next(names)
            if not witness.write(f"{path}/{name}", name):
                self._never.wait(_PAUSE_SECONDS)

        return write
