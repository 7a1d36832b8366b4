"""The thread beside the workers: an outage is told and outlived."""

import logging
import socket

import pytest

from ccs_server.serving.ending import Ending
from ccs_server.serving.upkeep import Upkeep
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.waiting import wait_until


def test_an_outage_is_told_and_outlived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = Settings(purge_interval=0.01)
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", settings)
    with (
        caplog.at_level(logging.WARNING, "ccs.upkeep"),
        Upkeep(database, Ending(30.0), settings, None),
    ):
        wait_until(lambda: len(caplog.messages) >= 3)
    assert set(caplog.messages) == {"The database cannot be reached; try again shortly."}


def test_a_fault_is_told_and_outlived(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Database):
        """Fails in a way that nobody has foreseen."""

        def execute(self, *_: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    settings = Settings(purge_interval=0.01)
    database = Faulty(database_url, settings)
    with (
        caplog.at_level(logging.WARNING, "ccs.upkeep"),
        Upkeep(database, Ending(30.0), settings, None),
    ):
        wait_until(lambda: len(caplog.records) >= 2)
    assert all(record.exc_info for record in caplog.records)
