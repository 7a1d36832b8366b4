"""Clients of batches and leases that repeat each request until it is answered, and everything that they were told."""

import json
import random
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count, pairwise
from secrets import token_hex
from threading import Event
from typing import Any

from tests.support.waiting import wait_until
from tests.trust.clients import Client, Crowd, Response, Unanswered, check_unavailable

_PAUSE_SECONDS = 0.005

# Not executed: the first try is still running, or another holder has the lease.
_NOT_YET = {409, 423}


@dataclass
class Told:
    """What the clients were told."""

    batches: list[list[Any]] = field(default_factory=list)
    fences: list[int] = field(default_factory=list)
    looks: int = 0
    repeated: int = 0
    """How often a request was sent again because the response to the one before was lost or 503."""
    differing: list[tuple[bytes, bytes]] = field(default_factory=list)
    """The responses to a request and to its repetition, where they differ."""
    halves: list[Any] = field(default_factory=list)
    """What readers saw where a batch was half done."""


class Repeaters:
    """Writers of batches, a holder of a lease and a reader, each with its own connection.

    Each batch counts up a number in one namespace, and appends to a list of its writer in another. They run for the
    length of `with repeaters.crowd`. The owner of `clients` closes it afterwards.
    """

    def __init__(self, connect: Callable[[], Client], clients: ExitStack, *, writers: int) -> None:
        self.told = Told()
        self._connect = connect
        self._clients = clients
        self._never = Event()
        self._counted, self._listed = (f"{name}-{token_hex(4)}" for name in ("counted", "listed"))
        self._writers = range(writers)
        self.crowd = Crowd([*map(self._writer, self._writers), self._holder(), self._reader()])

    def await_batches(self, more: int, *, seconds: float = 60) -> None:
        """Waits until `more` further batches have been acknowledged."""
        enough = len(self.told.batches) + more
        wait_until(lambda: self.crowd.check() and len(self.told.batches) >= enough, seconds=seconds)

    def violations(self) -> list[str]:
        """Returns a sentence for each promise that was broken. The clients must have stopped."""
        told = self.told
        total, *lists = self._read(self._open())
        sums = sorted(results[0]["value"] for results in told.batches)
        promises = {
            "A batch is done once, and its sum is its own": sums == list(range(1, total + 1)),
            "Every list has all elements once, in order": all(
                each == list(range(len(each))) for each in lists
            ),
            "The number and the lists are of the same batches": total == sum(map(len, lists)),
            "A repetition has the response of the first try": not told.differing,
            "Nobody sees half a batch": not told.halves,
            "Fences only grow": all(one < other for one, other in pairwise(told.fences)),
        }
        return [promise for promise, is_kept in promises.items() if not is_kept]

    def _writer(self, number: int) -> Callable[[], None]:
        client = self._open()
        turns = count()

        def write() -> None:
            turn = next(turns)
            body = json.dumps(
                {
                    "ops": [
                        {"op": "incr", "ns": self._counted, "name": "n"},
                        {"op": "append", "ns": self._listed, "session": f"s{number}", "name": "l", "values": [turn]},
                    ]
                }
            ).encode()  # fmt: skip
            key = f"{self._counted}-{number}-{turn}"
            response = self._send(client, body, Idempotency_Key=key)
            self.told.batches.append(response.results())
            if random.random() < 0.1:
                again = self._send(client, body, Idempotency_Key=key)
                if again.body != response.body:
                    self.told.differing.append((response.body, again.body))

        return write

    def _holder(self) -> Callable[[], None]:
        """Takes the lease of a session again and again. One whose response is lost ends after a second."""
        client = self._open()
        lease = {"op": "lease", "ns": self._counted, "owner": "holder", "seconds": 1}

        def hold() -> None:
            response = self._send(client, json.dumps({"ops": [lease]}).encode())
            fence = response.results()[0]["fence"]
            self.told.fences.append(fence)
            release = {"op": "release", "ns": self._counted, "fence": fence}
            self._send(client, json.dumps({"ops": [release]}).encode())

        return hold

    def _reader(self) -> Callable[[], None]:
        client = self._open()

        def look() -> None:
            total, *lists = found = self._read(client)
            self.told.looks += 1
            if total != sum(map(len, lists)):
                self.told.halves.append(found)

        return look

    def _read(self, client: Client) -> list[Any]:
        gets = [
            {"op": "get", "ns": self._counted},
            *({"op": "get", "ns": self._listed, "session": f"s{n}"} for n in self._writers),
        ]
        response = self._send(client, json.dumps({"ops": gets}).encode())
        counted, *listed = (result["values"] for result in response.results())
        return [counted.get("n", 0), *(each.get("l", []) for each in listed)]

    def _send(self, client: Client, body: bytes, **headers: str) -> Response:
        """Sends a request until its response is neither lost nor one that says to try again."""
        while True:
            try:
                response = client.operations(body, **headers)
            except Unanswered:
                self.told.repeated += 1
            else:
                if response.status == 503:
                    check_unavailable(response)
                    self.told.repeated += 1
                elif response.status not in _NOT_YET:
                    return response
            self._never.wait(_PAUSE_SECONDS)

    def _open(self) -> Client:
        return self._clients.enter_context(closing(self._connect()))
