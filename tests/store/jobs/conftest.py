"""A database in which no service carries jobs on."""

from collections.abc import Iterator
from secrets import token_hex

import pytest

from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database


@pytest.fixture(scope="session")
def quiet_url(cluster: Cluster, worker_id: str) -> str:
    return create_migrated_database(cluster, f"jobs_{worker_id}")


@pytest.fixture(scope="session")
def quiet(quiet_url: str) -> Iterator[Database]:
    """The store in a database in which no service carries jobs on."""
    database = Database(quiet_url, Settings())
    yield database
    database.release()


@pytest.fixture
def quiet_clock(quiet: Database) -> Iterator[Clock]:
    """The movable clock of `quiet`, which is reset after the test."""
    clock = Clock(quiet)
    yield clock
    clock.reset()


@pytest.fixture
def account() -> str:
    """An account of the test's own."""
    return f"jobs-{token_hex(6)}"
