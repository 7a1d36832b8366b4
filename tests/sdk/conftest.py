"""Fixtures of the SDK's tests: clients of a new account on the real server, and a fault proxy.

A module with `pytestmark = pytest.mark.usefixtures("both")` runs over the synchronous and the asynchronous clients.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccs_sdk import ContextClient, DocumentClient
from ccs_server.store.database import Database
from tests.sdk import blocking
from tests.sdk.faults import FaultProxy
from tests.support.service import Account, Server, new_account


@pytest.fixture(scope="session", autouse=True)
def event_loop() -> Iterator[None]:
    """Ends the event loop of the blocking clients after the tests."""
    yield
    blocking.end()


@pytest.fixture(scope="session")
def testing_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `ccs_sdk.testing` keeps its data. The path is short enough for the socket of PostgreSQL."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replaces the clients in the test's module, and in this one, by those of the flavour."""
    for name, kind in blocking.of_flavour(request.param).items():
        monkeypatch.setitem(globals(), name, kind)
        module: dict[str, Any] = request.node.obj.__globals__
        if name in module:
            monkeypatch.setitem(module, name, kind)
    return str(request.param)


@pytest.fixture
def client(account: Account) -> Iterator[ContextClient]:
    with ContextClient(account.server_url, account.id, api_key=account.key) as client:
        yield client


@pytest.fixture
def admins(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope `admin`."""
    with new_account(server, database, "admin") as account:
        yield account


@pytest.fixture
def documents(account: Account) -> Iterator[DocumentClient]:
    with DocumentClient(
        account.server_url, account.id, username=account.username, password=account.password
    ) as client:
        yield client


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy
