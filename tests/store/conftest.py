"""Fixtures for tests that need a database to themselves."""

from collections.abc import Iterator
from secrets import token_hex

import pytest

from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database


@pytest.fixture
def own_url(cluster: Cluster) -> str:
    """A new, migrated database with a movable clock."""
    return create_migrated_database(cluster, f"own_{token_hex(6)}")


@pytest.fixture
def own_database(own_url: str) -> Iterator[Database]:
    """The store in the database `own_url`."""
    database = Database(own_url, Settings())
    yield database
    database.release()


@pytest.fixture
def own_clock(own_url: str) -> Clock:
    """Moves the clock of the database `own_url`."""
    return Clock(own_url)
