"""Fixtures of all tests: a real PostgreSQL, a real `ccs serve`, accounts, and a clock that moves when it is told to."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.database import Database
from tests.support import databases
from tests.support.clock import Clock
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.users import ordinary_users_directory


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.make_directory()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.remove_directory()


@pytest.fixture
def nobodys_directory() -> Iterator[Path]:
    """A private directory of the user that `as_ordinary_user` runs programs as."""
    with ordinary_users_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def cluster() -> Iterator[databases.Cluster]:
    """The PostgreSQL of this test run."""
    with databases.running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database_url(cluster: databases.Cluster, worker_id: str) -> str:
    """A migrated database of this worker's own, with a movable clock."""
    url = databases.create_database(cluster, f"tests_{worker_id}", movable_clock=True)
    schema.migrate(url)
    return url


@pytest.fixture
def empty_database_url(cluster: databases.Cluster) -> str:
    """A database of this test's own, with nothing in it."""
    return databases.create_database(cluster, f"test_{token_hex(6)}")


@pytest.fixture(scope="session")
def database(database_url: str) -> Iterator[Database]:
    """The store of `database_url`, in this process."""
    database = Database(database_url, Settings())
    yield database
    database.release()


@pytest.fixture
def clock(database_url: str) -> Iterator[Clock]:
    """Moves the clock of `database_url`; it is put right after the test."""
    clock = Clock(database_url)
    yield clock
    clock.reset()


@pytest.fixture(scope="session")
def server(database_url: str) -> Iterator[Server]:
    """A running `ccs serve` on `database_url`."""
    with serving(env=environment(CCS_DATABASE_URL=database_url)) as server:
        yield server


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """A fresh account on `server`."""
    with new_account(server, database) as account:
        yield account


@pytest.fixture
def other_account(server: Server, database: Database) -> Iterator[Account]:
    """Another fresh account on `server`."""
    with new_account(server, database) as account:
        yield account
