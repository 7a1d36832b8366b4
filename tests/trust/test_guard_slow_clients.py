"""Anonymous clients that use up scarce resources: bodies that never end, silent connections.

An account saves during each attack, and must not be affected.
"""

import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

import pytest
import requests

from ccs_server.store.database import Database
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic

CONNECTION_LIMIT = 300
WORKERS = 2


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = environment(
        CCS_DATABASE_URL=database_url,
        CCS_ACCESS_LOG="off",
        CCS_CONNECTION_LIMIT=str(CONNECTION_LIMIT),
    )
    log = tmp_path_factory.mktemp("slow") / "log"
    with log.open("w") as file, serving("--workers", str(WORKERS), env=env, log=file) as server:
        yield server


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    with new_account(server, database) as account:
        yield account


class Saver:
    """An account that saves continuously and records the responses."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.statuses: Counter[object] = Counter()
        self.slowest = 0.0

    def save_for(self, seconds: float) -> None:
        ends = monotonic() + seconds
        while monotonic() < ends:
            began = monotonic()
            try:
                self.statuses[self._account.v1("PUT", "/ns/properties/p", json=1).status_code] += 1
            except requests.ConnectionError:
                self.statuses["closed"] += 1
            self.slowest = max(self.slowest, monotonic() - began)

    @property
    def served(self) -> float:
        """The fraction of its saves that succeeded."""
        return self.statuses[204] / self.statuses.total()


@contextmanager
def dripping(port: int, count: int, head: bytes) -> Iterator[Event]:
    """Runs clients that send `head` and then a byte a second, and reconnect when they are disconnected."""
    stop, all_there = Event(), Event()

    def attack() -> None:
        clients: list[socket.socket] = []
        while not stop.is_set():
            for client in clients[:]:
                try:
                    client.sendall(b"x")
                    if client.recv(4096) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    pass
                except OSError:
                    client.close()
                    clients.remove(client)
            while len(clients) < count and not stop.is_set():
                try:
                    client = socket.create_connection(("127.0.0.1", port), timeout=1)
                    client.sendall(head)
                    client.settimeout(0)
                    clients.append(client)
                except OSError:
                    break
            all_there.set()
            stop.wait(1)
        for client in clients:
            client.close()

    thread = Thread(target=attack)
    thread.start()
    try:
        yield all_there
    finally:
        stop.set()
        thread.join()


def body_head(key: str) -> bytes:
    return (
        f"PUT /v1/account/a/ns/properties/p HTTP/1.1\r\nHost: x\r\n{key}"
        "Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("whose", ["without a credential", "of an account"])
def test_slow_bodies_do_not_block_saves(
    server: Server, account: Account, database: Database, whose: str, form: Form, record: Record
) -> None:
    seconds, count = form(short=3.0, full=60.0), form(short=150, full=500)
    with new_account(server, database) as attacker:
        key = "" if whose == "without a credential" else f"maven-api-key: {attacker.key}\r\n"
        attacker.v1("GET", "/ns/properties").raise_for_status()
        head = body_head(key).replace(b"/account/a/", f"/account/{attacker.id}/".encode())
        with dripping(server.port, count, head) as there:
            assert there.wait(30)
            saver = Saver(account)
            saver.save_for(seconds)
    assert saver.served >= 0.99, saver.statuses
    record(
        Topic.FUZZ,
        f"Slow bodies, {whose}, a byte a second: others' saves are served",
        f"{count} connections for {seconds:.0f} s: {saver.statuses[204]} of {saver.statuses.total()} saves served, "
        f"the slowest in {saver.slowest * 1000:.0f} ms",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell who is silent")
def test_silent_connections_are_closed_for_active_ones(
    server: Server, account: Account, form: Form, record: Record
) -> None:
    """There are more silent connections than the workers may have, so no other client would be accepted."""
    count = form(short=2, full=4) * CONNECTION_LIMIT * WORKERS
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    try:
        began = monotonic()
        health = requests.get(f"{server.url}/healthz", timeout=30)
        waited = monotonic() - began
        assert health.status_code == 200
        saver = Saver(account)
        saver.save_for(form(short=2.0, full=20.0))
        assert saver.served >= 0.99, saver.statuses
    finally:
        for client in silent:
            client.close()
    wait_until(lambda: account.v1("GET", "/ns/properties").status_code == 200)
    record(
        Topic.FUZZ,
        "Silent connections, more than the service may have: active clients are served",
        f"{count} connections of {CONNECTION_LIMIT * WORKERS}: /healthz after {waited:.1f} s, "
        f"{saver.statuses[204]} of {saver.statuses.total()} saves served",
    )
