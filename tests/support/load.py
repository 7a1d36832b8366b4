"""Clients that call without pause, and know what became of every request."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic, sleep

ANSWERED, REFUSED, LOST = "answered", "refused", "lost"


@dataclass
class Load:
    """What became of the requests so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)


@contextmanager
def load(
    port: int, headers: dict[str, str], target: str, *, clients: int, rate: float, keep_alive: bool
) -> Iterator[Load]:
    """Calls `target`, PUT and GET by turns, at `rate` requests a second, until the block ends or nobody listens."""
    seen = Load()
    stop = Event()
    pause = clients / rate

    def call(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        due = monotonic() + pause * number / clients
        turn = 0
        while not stop.is_set():
            sleep(max(0.0, due - monotonic()))
            due += pause
            turn += 1
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                seen.outcomes[REFUSED] += 1
                return
            try:
                if turn % 2:
                    body = str(turn).encode()
                    connection.request("PUT", f"{target}{number}", body, headers)
                else:
                    connection.request("GET", f"{target}{number}", headers=headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException) as error:
                seen.outcomes[LOST] += 1
                seen.losses.append(repr(error))
                connection.close()
            else:
                seen.outcomes[ANSWERED] += 1
                seen.statuses[answer.status] += 1
                if not keep_alive:
                    connection.close()
        connection.close()

    threads = [Thread(target=call, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
