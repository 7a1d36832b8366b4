"""Clients that send requests at a constant rate and record every result."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from time import monotonic, sleep


@dataclass
class Load:
    """The results of the requests: the statuses of responses, and the errors of requests without a response."""

    statuses: Counter[int] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.statuses.total()


@dataclass(frozen=True)
class Caller:
    """Concurrent clients that save and read properties, `rate` calls a second in total. Paths begin with `target`."""

    port: int
    headers: dict[str, str]
    target: str
    clients: int
    rate: float
    keep_alive: bool

    @contextmanager
    def calling(self) -> Iterator[Load]:
        """Sends requests for the length of the block, or until connections are refused."""
        load, stop = Load(), Event()
        threads = [
            Thread(target=self._call_repeatedly, args=(number, load, stop))
            for number in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield load
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _call_repeatedly(self, number: int, load: Load, stop: Event) -> None:
        pause = self.clients / self.rate
        due = monotonic() + pause * number / self.clients
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        turn = 0
        while not stop.is_set():
            sleep(max(0.0, due - monotonic()))
            due += pause
            turn += 1
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                return
            try:
                load.statuses[self._call(connection, number, turn)] += 1
            except (OSError, HTTPException) as error:
                load.losses.append(repr(error))
                connection.close()
        connection.close()

    def _call(self, connection: HTTPConnection, number: int, turn: int) -> int:
        target = f"{self.target}{number}"
        if turn % 2:
            connection.request("PUT", target, str(turn).encode(), self.headers)
        else:
            connection.request("GET", target, headers=self.headers)
        response = connection.getresponse()
        response.read()
        if not self.keep_alive:
            connection.close()
        return response.status
