"""The thread of the jobs: it carries on what is created while the service runs, and outlives an outage."""

import logging
import socket
from secrets import token_hex

import pytest
from prometheus_client import REGISTRY

from ccs_server.serving.ending import Ending
from ccs_server.serving.jobs import Jobs
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.jobs.resource import read_job
from tests.support.jobs import new_erasure
from tests.support.waiting import wait_until


def test_it_carries_jobs_on_and_counts_them(own_url: str) -> None:
    database, account = Database(own_url, Settings()), f"jobs-{token_hex(6)}"
    labels = {"kind": "erase", "state": "done"}

    def ended() -> float:
        return REGISTRY.get_sample_value("ccs_jobs_total", labels) or 0

    before = ended()
    job = new_erasure(database, account, values=["x"])
    with Jobs(database, Ending(30.0)):
        wait_until(lambda: ended() == before + 1)
    assert read_job(database, account, job.id).state == "done"
    database.release()


def test_an_outage_is_told_and_outlived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    with caplog.at_level(logging.WARNING, "ccs.jobs"), Jobs(database, Ending(30.0)):
        wait_until(lambda: len(caplog.messages) >= 1)
    assert set(caplog.messages) == {"The database cannot be reached; try again shortly."}
