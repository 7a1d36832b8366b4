"""The worker processes of a running service, and their memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.service import Server

_MIB = 1 << 20


def workers(server: Server) -> list[psutil.Process]:
    """Returns the worker processes."""
    supervisor = psutil.Process(server.process.pid)
    # Workers are forked, so they run the same program. Other children (PostgreSQL) run another one.
    return [child for child in supervisor.children() if child.exe() == supervisor.exe()]


def memory(server: Server) -> float:
    """Returns the resident memory of all workers, in MiB."""
    return sum(float(worker.memory_info().rss) for worker in workers(server)) / _MIB


def connections(server: Server) -> int:
    """Returns how many client connections the workers hold."""
    return sum(
        connection.laddr.port == server.port and connection.status != psutil.CONN_LISTEN
        for worker in workers(server)
        for connection in worker.net_connections("tcp")
    )


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """Fails unless the same workers still run at the end of the block."""
    before = {worker.pid for worker in workers(server)}
    assert before
    yield
    assert {worker.pid for worker in workers(server)} == before
