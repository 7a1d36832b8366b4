"""Fixtures of all tests: a real PostgreSQL, a real `ccs serve`, accounts, and a movable database clock."""

import gc
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from hypothesis import settings

from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support import databases
from tests.support.clock import Clock
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.users import ordinary_users_directory

# How long an example takes depends on what else the machine does.
settings.register_profile("ccs", deadline=None)
settings.load_profile("ccs")

# Garbage collection would take a third of the time in which pytest collects the tests, and find next to nothing.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.make_directory()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.remove_directory()


@pytest.fixture
def nobodys_directory() -> Iterator[Path]:
    """A private directory of the user under which `as_ordinary_user` runs programs."""
    with ordinary_users_directory() as directory:
        yield directory


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a path short enough for the socket of an embedded database."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture(scope="session")
def cluster() -> Iterator[databases.Cluster]:
    """The PostgreSQL of this test run."""
    with databases.running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database_url(cluster: databases.Cluster, worker_id: str) -> str:
    """A migrated database with a movable clock, for this pytest worker only."""
    return databases.create_migrated_database(cluster, f"tests_{worker_id}")


@pytest.fixture
def empty_database_url(cluster: databases.Cluster) -> str:
    """An empty database for this test only."""
    return databases.create_database(cluster, f"test_{token_hex(6)}")


@pytest.fixture(scope="session")
def database(database_url: str) -> Iterator[Database]:
    """The store of `database_url`, in this process."""
    database = Database(database_url, Settings())
    yield database
    database.release()


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    """The movable clock of `database`, which is reset after the test."""
    if databases.GIVEN:
        pytest.skip("The clock of this database cannot be moved.")
    clock = Clock(database)
    yield clock
    clock.reset()


@pytest.fixture
def own_url(cluster: databases.Cluster) -> str:
    """A new, migrated database with a movable clock."""
    return databases.create_migrated_database(cluster, f"own_{token_hex(6)}")


@pytest.fixture
def own_clock(own_url: str) -> Iterator[Clock]:
    """Moves the clock of the database `own_url`."""
    database = Database(own_url, Settings())
    yield Clock(database)
    database.release()


@pytest.fixture(scope="session")
def server(database_url: str) -> Iterator[Server]:
    """A running `ccs serve` on `database_url`, which delivers to webhooks at 127.0.0.1."""
    env = environment(CCS_DATABASE_URL=database_url, CCS_WEBHOOK_ALLOW="127.0.0.1")
    with serving(env=env) as server:
        yield server


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """A new account on `server`."""
    with new_account(server, database) as account:
        yield account


@pytest.fixture
def other_account(server: Server, database: Database) -> Iterator[Account]:
    """Another new account on `server`."""
    with new_account(server, database) as account:
        yield account
