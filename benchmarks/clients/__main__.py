"""Tries what each client does, and prints the table of docs/sdk/README.md.

    python -m venv /tmp/clients
    /tmp/clients/bin/pip install './sdk[async]' -r requirements/compare-clients.in
    /tmp/clients/bin/python -m benchmarks.clients

Each cell is what the client did with a server that refuses, drops or drips, or a default that it has. That a client has
no option for one call, or no limit of time, was read in its sources, because it cannot be tried. The clients do not
really wait, but each wait that they ask for is recorded.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from itertools import pairwise
from typing import Any

WAITS: list[Any] = []
time.sleep = WAITS.append  # before the clients are imported, which keep their reference

from benchmarks.clients.peers import PEERS, REQUEST_ID, Peer  # noqa: E402
from benchmarks.clients.server import DIGITS, DRIP_SECONDS, DRIPS, Server, running  # noqa: E402

NONE = "–"


def timeout(peer: Peer, server: Server) -> str:
    found: Any = peer.timeout(peer.client(server.url))
    connect, read = found if isinstance(found, tuple) else (found, found)
    if connect == read:
        return "none" if read is None else f"{read:g} s"
    return f"{connect:g} s to connect, {read:g} s to read"


def attempts(peer: Peer, server: Server) -> str:
    """How often a read and a write are sent if each response is 503, and if each connection is dropped."""
    behaviours = ("503", "drop") if peer.speaks_http else ("drop",)
    reads, writes = (
        [_attempts(server, call, peer.client(server.url), behaviour) for behaviour in behaviours]
        for call in (peer.read, peer.write)
    )
    assert reads == writes, (reads, writes)
    if len(set(reads)) == 1:
        return str(reads[0])
    return f"{reads[0]} after 503, {reads[1]} after a lost connection"


def waits(peer: Peer, server: Server) -> str:
    behaviour = "503" if peer.speaks_http else "drop"
    runs: list[list[float]] = []
    for _ in range(20):
        WAITS.clear()
        _attempts(server, peer.read, peer.retrying(server.url), behaviour)
        runs.append([wait for wait in WAITS if wait])
    WAITS.clear()
    _attempts(server, peer.read, peer.retrying(server.url), "503", retry_after="3")
    heeds = WAITS[:1] == [3]
    if not any(runs):
        return "`Retry-After`, or none" if heeds else NONE
    columns = [column for column in zip(*runs, strict=False) if column]
    highest = [max(column) for column in columns]
    growing = "exponential" if all(b > a * 1.2 for a, b in pairwise(highest[:3])) else "constant"
    spread = min(min(column) / max(column) for column in columns)
    jitter = "" if spread > 0.99 else ", full jitter" if spread < 0.4 else ", some jitter"
    return f"{growing}{jitter}{', or `Retry-After`' if heeds else ''}"


def limit(peer: Peer, server: Server) -> str:
    """How long a call may go on with attempts, by default."""
    found = peer.limited(server.url, 0.5)
    if found is None:
        return NONE
    assert _attempts(server, peer.read, found[0], "503") < 100
    return f"{found[1]:g} s"


def given_up(peer: Peer, server: Server) -> str:
    """Whether a response that never stops arriving is given up, in spite of a timeout of each read."""
    server.tell("drip")
    begin = time.monotonic()
    _failed(peer.read, peer.impatient(server.url, 2 * DRIP_SECONDS))
    took = time.monotonic() - begin
    return "yes" if took < DRIPS * DRIP_SECONDS * 0.75 else NONE


def repeated_write(peer: Peer, server: Server) -> str:
    """How often a write takes effect if the response to its first attempt is lost."""
    server.tell("drop", then="ok")
    error = _failed(peer.write, peer.retrying(server.url))
    if error is not None:
        return "no retry"
    keys = {seen.key for seen in server.seen}
    if None not in keys and len(keys) == 1:
        return "once, by its key"
    return f"{len(server.seen)} times"


def asynchronous(peer: Peer, server: Server) -> str:
    server.tell("ok")
    threads: set[str] = set()

    def audit(event: str, _arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            threads.add(threading.current_thread().name)

    async def read() -> None:
        sys.addaudithook(audit)
        await peer.read_asynchronously(server.url)

    asyncio.run(read())
    how = ", in threads" if any(name != "MainThread" for name in threads) else ""
    return f"{peer.asynchronous}{how}"


def one_call(peer: Peer, server: Server) -> str:
    server.tell("ok")
    return peer.one_call(peer.client(server.url)) or NONE


def success_headers(peer: Peer, server: Server) -> str:
    server.tell("ok")
    if not peer.speaks_http:
        return NONE
    found = peer.success_headers(peer.client(server.url))
    assert found is not None
    assert REQUEST_ID in dict(found[1]).values(), found
    return found[0]


def errors(peer: Peer, server: Server) -> str:
    """Whether 404, 409 and 429 are errors of different classes, and where they have the request's id."""
    if not peer.speaks_http:
        return NONE
    kinds: set[type[Exception]] = set()
    name = None
    for status in ("404", "409", "429"):
        server.tell(status)
        error = _failed(peer.read, peer.client(server.url))
        assert error is not None
        kinds.add(type(error))
        found = peer.request_id(error)
        name = found[0] if found and found[1] == REQUEST_ID else None
    several = f"{len(kinds)} classes" if len(kinds) > 1 else "one class"
    return f"{several}; {name or 'no id'}"


def after_fork(peer: Peer, server: Server) -> str:
    """Whether a child process sends by the connection that its parent has opened."""
    server.tell("ok")
    client = peer.client(server.url)
    peer.read(client)
    if (child := os.fork()) == 0:
        peer.read(client)
        os._exit(0)
    os.waitpid(child, 0)
    first, second = (seen.port for seen in server.seen)
    return "its parent" if first == second else "its own"


def digits(peer: Peer, server: Server) -> str:
    server.tell("ok")
    how, number = peer.digits(peer.client(server.url), server.url)
    exact = isinstance(number, Decimal) and str(number) == DIGITS
    return (how or "exact") if exact else f"`{type(number).__name__}`"


def logger(peer: Peer, server: Server) -> str:
    names: set[str] = set()

    class Names(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            names.add(record.name.partition(".")[0])

    root, handler = logging.getLogger(), Names()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    server.tell("ok")
    try:
        peer.read(peer.client(server.url))
    finally:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)
    names -= {"urllib3", "httpcore", "httpcore2", "asyncio"}  # what they build on
    return ", ".join(f"`{name}`" for name in sorted(names)) or NONE


def _attempts(
    server: Server,
    call: Callable[[object], object],
    client: object,
    behaviour: str,
    *,
    retry_after: str | None = None,
) -> int:
    server.tell(behaviour, retry_after=retry_after)
    assert _failed(call, client) is not None
    return len(server.seen)


def _failed(call: Callable[[object], object], client: object) -> Exception | None:
    """Returns the error that the call raises, which is what is looked for."""
    try:
        call(client)
    except Exception as error:  # noqa: BLE001 - of any client
        return error
    return None


ROWS: dict[str, Callable[[Peer, Server], str]] = {
    "default timeout": timeout,
    "default attempts": attempts,
    "wait between attempts": waits,
    "a write that is retried takes effect": repeated_write,
    "limit of the time in which attempts begin": limit,
    "a response that drips is given up": given_up,
    "errors 404, 409 and 429; where the request's id is": errors,
    "headers of a successful response": success_headers,
    "options of one call": one_call,
    "asynchronous client": asynchronous,
    "a forked process uses a connection of": after_fork,
    "a number with 50 digits is read as": digits,
    "logger of a request": logger,
}


def main() -> None:
    names = [f"{peer.distribution} {version(peer.distribution)}" for peer in PEERS]
    print(f"| {datetime.now(UTC):%B %Y} | {' | '.join(names)} |")
    print("|---" * (len(PEERS) + 1) + "|")
    with running() as server:
        for name, probe in ROWS.items():
            cells = [probe(peer, server) for peer in PEERS]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
