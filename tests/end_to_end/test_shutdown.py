"""SIGTERM under load: whatever was sent is answered."""

from time import sleep

import pytest

from ccs_server.store import credentials
from ccs_server.store.database import Database
from tests.support.load import Caller
from tests.support.service import environment, serving


@pytest.mark.parametrize("connections", ["kept alive", "one for each request"])
def test_a_stop_loses_no_request(database: Database, database_url: str, connections: str) -> None:
    key = credentials.create_key(database, "shutdown")
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "2", env=env) as server:
        caller = Caller(
            port=server.port,
            headers={"maven-api-key": key.key, "content-type": "application/json"},
            target=f"/v1/account/{key.account}/load/properties/p",
            clients=20,
            rate=500,
            keep_alive=connections == "kept alive",
        )
        with caller.calling() as load:
            while load.answered < 300:
                assert server.process.poll() is None
                sleep(0.05)
            assert server.stop() == 0
    assert load.losses == []
    assert set(load.statuses) <= {200, 204}
