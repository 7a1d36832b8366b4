"""Anonymous clients that attack the service. Each kind has once stopped the service.

An attack runs for the length of a block, in a thread with its own event loop. It sends slowly enough to need little of
the processor, because it tests the resources that the service holds for it.
"""

import asyncio
import resource
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from random import Random
from string import ascii_uppercase
from struct import pack
from threading import Event, Thread
from types import TracebackType
from typing import Self

_SPARE_FILES = 200
_GONE = (ConnectionError, OSError, asyncio.IncompleteReadError)


class Attack(ABC):
    """Clients of one kind. Each reconnects a second after its connection has ended."""

    name: str

    def __init__(self, port: int, clients: int) -> None:
        self._port = port
        self._clients = clients
        self._stopping = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name=self.name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    @abstractmethod
    async def _attack(self) -> None:
        """Attacks once, over one connection."""

    async def _run(self) -> None:
        clients = [asyncio.create_task(self._client(number)) for number in range(self._clients)]
        await asyncio.to_thread(self._stopping.wait)
        for client in clients:
            client.cancel()
        for outcome in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _client(self, number: int) -> None:
        # Spread the clients over a second.
        await asyncio.sleep(number / self._clients)
        while True:
            with suppress(*_GONE):
                await self._attack()
            await asyncio.sleep(1)

    @asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        # Reset the connection instead of closing it, because thousands of closed ones would use up the ports.
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0)
        )
        try:
            yield reader, writer
        finally:
            writer.close()


class LongMethods(Attack):
    """Requests with unique methods of 60,000 letters, and anonymous requests for the metrics."""

    name = "long methods"
    _letters = 60_000
    _requests = 10

    def __init__(self, port: int, clients: int = 4) -> None:
        super().__init__(port, clients)
        self._random = Random(1)
        self._turns = count()

    async def _attack(self) -> None:
        target = "/metrics" if next(self._turns) % 2 else "/healthz"
        for _ in range(self._requests):
            method = "GET" if target == "/metrics" else self._method()
            async with self._connection() as (reader, writer):
                head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                await reader.read()

    def _method(self) -> str:
        return "".join(self._random.choices(ascii_uppercase, k=20)) * (self._letters // 20)


class SlowBodies(Attack):
    """Bodies sent at a byte a second, by clients without a credential."""

    name = "slow bodies"

    def __init__(self, port: int, clients: int = 500) -> None:
        super().__init__(port, clients)

    async def _attack(self) -> None:
        async with self._connection() as (_, writer):
            writer.write(
                b"PUT /v1/account/a/ns/properties/p HTTP/1.1\r\nHost: x\r\n"
                b'Content-Type: application/json\r\nContent-Length: 900\r\n\r\n"'
            )
            while not writer.is_closing():
                await writer.drain()
                await asyncio.sleep(1)
                writer.write(b"a")


class SilentConnections(Attack):
    """Connections on which nothing is sent."""

    name = "silent connections"

    def __init__(self, port: int, clients: int = 2_600) -> None:
        super().__init__(port, clients)
        allow_files(clients + _SPARE_FILES)

    async def _attack(self) -> None:
        async with self._connection() as (reader, _):
            await reader.read()


def allow_files(count: int) -> None:
    """Lets this process open `count` files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
