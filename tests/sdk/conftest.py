"""Fixtures of the SDK's tests: clients of a new account on the real server, and a fault proxy."""

from collections.abc import Iterator

import pytest

from ccs_sdk import ContextClient, DocumentClient
from ccs_server.store.database import Database
from tests.sdk.faults import FaultProxy
from tests.support.service import Account, Server, new_account


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
