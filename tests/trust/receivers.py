"""A receiver of webhooks that fails now and then, and what it was sent in the end."""

import random
from threading import Event
from time import sleep
from typing import Any

import requests

from tests.support.receivers import OK, Delivery, Receiver
from tests.support.service import Account

_UNAVAILABLE = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"


class Hook:
    """A webhook of an account, whose receiver refuses one message of ten, and takes its time with another.

    Attributes:
        is_kind: whether the receiver takes everything from now on.
        receiver: the receiver.
    """

    def __init__(self, account: Account, receiver: Receiver) -> None:
        self.is_kind = False
        self.receiver = receiver
        self._choose = random.Random(1)
        self._account = account
        receiver.respond = self._respond
        created = account.ext("POST", "/webhooks", json={"url": receiver.url})
        assert created.status_code == 201, created.text
        self._made: dict[str, Any] = created.json()

    def run(self, stop: Event) -> None:
        """Lets it try again at once, instead of after the waits of the contract."""
        while not stop.wait(0.2):
            try:
                self._account.ext(
                    "PATCH", f"/webhooks/{self._made['id']}", json={"state": "active"}
                )
            except requests.RequestException:
                sleep(0.05)

    def messages(self) -> list[Delivery]:
        """What it was sent, without messages that were sent again; these are the same to the byte, and signed."""
        found: dict[str, Delivery] = {}
        for delivery in list(self.receiver.received):
            if delivery.id not in found:
                delivery.verify(self._made["secret"])
            assert found.setdefault(delivery.id, delivery).body == delivery.body
        return list(found.values())

    def events(self) -> list[dict[str, Any]]:
        """The changes that these tell of."""
        return [event for message in self.messages() for event in message.events]

    def _respond(self, _: Delivery) -> bytes:
        mood = self._choose.randrange(10)
        if self.is_kind or mood > 1:
            return OK
        if mood == 1:
            self.receiver.is_closing.wait(0.3)
        return _UNAVAILABLE
