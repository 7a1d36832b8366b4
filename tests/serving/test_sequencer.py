"""The sequencer's thread: it begins with the first account that logs, and an outage is told and outlived."""

import logging
import socket
from secrets import token_hex

import pytest

from ccs_server.serving.ending import Ending
from ccs_server.serving.sequencer import Sequencer
from ccs_server.settings import Settings
from ccs_server.store.changes import Filter, read_changes
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.saving import save
from tests.support.waiting import wait_until


def test_it_brings_events_into_the_log(database: Database, database_url: str) -> None:
    account = f"sequencer-{token_hex(6)}"
    own = Database(database_url, Settings())
    with Sequencer(own, Ending(30.0)):
        change_settings(database, account, "ns", changes="values")
        save(database, DocumentKey(account, "ns", "s"), b'{"a": 1}')

        def is_logged() -> bool:
            page = read_changes(database, account, Filter(), after=0, limit=1, backward=False)
            return bool(page.events)

        wait_until(is_logged)


def test_an_outage_is_told_and_outlived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    with (
        caplog.at_level(logging.WARNING, "ccs.sequencer"),
        Sequencer(database, Ending(30.0)),
    ):
        wait_until(lambda: len(caplog.messages) >= 2)
    assert set(caplog.messages) == {"The database cannot be reached; try again shortly."}
