"""Open-loop load: requests arrive independently of how long earlier ones take, as in a real overload."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from statistics import median
from time import monotonic


@dataclass
class Results:
    """The results of a run."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    """Latencies by status, in seconds from when the request was due."""
    without_retry_after: int = 0
    ended: list[tuple[float, int]] = field(default_factory=list)
    """The time of each response, in seconds from the start, and its status."""

    def median(self, *statuses: int) -> float:
        """Returns the median latency of responses with these statuses, in seconds."""
        return median(time for status in statuses for time in self.latencies[status])

    def rate(self, *statuses: int) -> float:
        """Returns the number of responses with these statuses per second."""
        return sum(self.statuses[status] for status in statuses) / self.seconds


@dataclass(frozen=True)
class Arrivals:
    """Poisson arrivals, as from many independent clients: `rate` requests a second for `seconds`."""

    port: int
    request: bytes
    rate: float
    seconds: float

    def run(self) -> Results:
        """Sends all requests, and waits for the last response."""
        return asyncio.run(self._run())

    async def _run(self) -> Results:
        results = Results(self.seconds)
        idle: list[_Connection] = []
        began = monotonic()
        async with asyncio.TaskGroup() as tasks:
            for due in self._times():
                await asyncio.sleep(max(0.0, began + due - monotonic()))
                tasks.create_task(self._call(began, due, idle, results))
        for connection in idle:
            connection.close()
        return results

    def _times(self) -> Iterable[float]:
        random = Random(1)
        count = int(self.rate * self.seconds)
        return accumulate(random.expovariate(self.rate) for _ in range(count))

    async def _call(
        self, began: float, due: float, idle: "list[_Connection]", results: Results
    ) -> None:
        connection = idle.pop() if idle else await _Connection.open(self.port)
        status, head = await connection.send(self.request)
        now = monotonic() - began
        results.statuses[status] += 1
        results.latencies.setdefault(status, []).append(now - due)
        results.ended.append((now, status))
        if status in {429, 503} and b"\r\nretry-after: " not in head:
            results.without_retry_after += 1
        idle.append(connection)


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if length:
            await self.reader.readexactly(int(length))
        return int(head.split(b" ", 2)[1]), head

    def close(self) -> None:
        self.writer.close()
