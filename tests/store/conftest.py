"""The store in a database of a test's own."""

from collections.abc import Iterator

import pytest

from ccs_server.settings import Settings
from ccs_server.store.database import Database


@pytest.fixture
def own_database(own_url: str) -> Iterator[Database]:
    """The store in the database `own_url`."""
    database = Database(own_url, Settings())
    yield database
    database.release()
