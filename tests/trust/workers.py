"""The worker processes of a running service: which they are, and how much memory they hold."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.service import Server

_MIB = 1 << 20


def workers(server: Server) -> list[psutil.Process]:
    """The processes that serve."""
    supervisor = psutil.Process(server.process.pid)
    # They are forked; what else the supervisor starts (PostgreSQL) has a program of its own.
    return [child for child in supervisor.children() if child.exe() == supervisor.exe()]


def memory(server: Server) -> float:
    """What the workers hold, in MiB."""
    return sum(float(worker.memory_info().rss) for worker in workers(server)) / _MIB


def connections(server: Server) -> int:
    """How many of their clients' connections the workers hold."""
    return sum(
        connection.laddr.port == server.port and connection.status != psutil.CONN_LISTEN
        for worker in workers(server)
        for connection in worker.net_connections("tcp")
    )


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """Fails unless the same workers live at the end of the block."""
    before = {worker.pid for worker in workers(server)}
    assert before
    yield
    assert {worker.pid for worker in workers(server)} == before
