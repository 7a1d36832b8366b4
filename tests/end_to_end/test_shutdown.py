"""SIGTERM under load: whatever was sent is answered."""

from time import sleep

import pytest

from ccs_server.store import credentials
from ccs_server.store.database import Database
from tests.support.load import ANSWERED, LOST, load
from tests.support.service import environment, serving


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept-alive", "a connection each"])
def test_a_stop_loses_no_request(database: Database, database_url: str, keep_alive: bool) -> None:
    key = credentials.create_key(database, "shutdown")
    headers = {"maven-api-key": key.key, "content-type": "application/json"}
    target = f"/v1/account/{key.account}/load/properties/p"
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with (
        serving("--workers", "2", env=env) as server,
        load(
            server.port, headers, target, clients=20, rate=500, keep_alive=keep_alive
        ) as seen,
    ):
        while seen.outcomes[ANSWERED] < 300:
            assert server.process.poll() is None
            sleep(0.05)
        assert server.stop() == 0
    assert seen.losses == []
    assert seen.outcomes[LOST] == 0
    assert set(seen.statuses) <= {200, 204}
