"""Clients that save new properties and record them, to compare with a restored store."""

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from threading import Event

from tests.support.waiting import wait_until
from tests.trust.clients import Client, Crowd, Notes, Witness

_PAUSE_SECONDS = 0.005


class Ledger:
    """Writers, each with its own connection and session, and all properties that they have saved.

    They run for the length of `with ledger.crowd`. The owner of `clients` closes it afterwards. Times are those of the
    machine's monotonic clock.
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
        """Waits until `more` further writes have been acknowledged."""
        enough = self.notes.acknowledged + more
        wait_until(
            lambda: self.crowd.check() and self.notes.acknowledged >= enough, seconds=seconds
        )

    def acknowledged_before(self, moment: float) -> set[str]:
        """Returns the properties whose write was acknowledged before `moment`."""
        return {save.register for save in self.notes.history if save.returned <= moment}

    def sent_after(self, moment: float) -> set[str]:
        """Returns the properties whose write was sent at `moment` or later, acknowledged or not."""
        return {save.register for save in self.notes.history if save.invoked >= moment}

    def stored(self, client: Client) -> set[str]:
        """Returns the properties that a service has, with their values."""
        found = set()
        for session in range(self._writers):
            path = f"/ledger/s{session}/properties"
            response = client.v1("GET", path)
            assert response.status == 200, response
            for name, value in json.loads(response.body).items():
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
