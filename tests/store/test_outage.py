"""If the database does not respond, one caller at a time waits for it, and the others fail at once."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.reads import Get
from ccs_server.store.operations.run import run_each

ANY = Statement.of("any", "SELECT 1")
CONNECT_SECONDS = 2


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Accepts connections but never responds, like a frozen PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def test_while_one_caller_waits_for_a_silent_database_others_fail_at_once(
    silent_server: socket.socket,
) -> None:
    port = silent_server.getsockname()[1]
    settings = Settings(connect_timeout=CONNECT_SECONDS)
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", settings)
    with pytest.raises(Unavailable):
        database.execute(ANY)
    silent_server.accept()[0].close()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(database.execute, ANY)
        connection, _ = silent_server.accept()
        with connection:
            began = monotonic()
            with pytest.raises(Unavailable):
                database.execute(ANY)
            assert monotonic() - began < CONNECT_SECONDS / 2
            with pytest.raises(Unavailable):
                waiting.result()


def test_of_operations_that_are_executed_one_by_one_only_the_first_waits(
    silent_server: socket.socket,
) -> None:
    port = silent_server.getsockname()[1]
    settings = Settings(connect_timeout=CONNECT_SECONDS)
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", settings)
    operations = [Get(document=DocumentKey("a", "ns", "s1"))] * 20
    began = monotonic()
    outcomes = run_each(database, operations, lambda _: None)
    assert monotonic() - began < 2 * CONNECT_SECONDS
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(operations)
