"""SIGTERM under load: every request that was sent gets a response. A rolling restart fails no call."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import pytest

from ccs_server.settings import Settings
from ccs_server.store import credentials
from ccs_server.store.database import Database
from tests.support.balancer import balancing
from tests.support.load import Caller
from tests.support.service import Server, environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import violations
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic
from tests.trust.sdk_apps import Apps

RATE = 500


@contextmanager
def instance(database_url: str, port: int = 0) -> Iterator[Server]:
    """Runs an instance of the service that drains for as long as it does by default."""
    drain_time = str(Settings().drain_time)
    env = environment(
        CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_DRAIN_TIME=drain_time
    )
    with serving("--port", str(port), "--workers", "2", env=env) as server:
        yield server


@pytest.mark.parametrize("connections", ["kept alive", "one for each request"])
def test_a_stop_loses_no_request(
    database: Database, database_url: str, connections: str, form: Form, record: Record
) -> None:
    stops = form(short=1, full=5)
    key = credentials.create_key(database, "shutdown")
    answered, seconds = 0, 0.0
    for _ in range(stops):
        with instance(database_url) as server:
            caller = Caller(
                port=server.port,
                headers={"maven-api-key": key.key, "content-type": "application/json"},
                target=f"/v1/account/{key.account}/load/properties/p",
                clients=20,
                rate=RATE,
                keep_alive=connections == "kept alive",
            )
            began = monotonic()
            with caller.calling() as load:
                wait_until(lambda load=load: load.answered >= form(short=300, full=1000))  # type: ignore[misc]
                seconds += monotonic() - began
                before = load.answered
                assert server.process.poll() is None
                assert server.stop() == 0
        assert load.losses == []
        assert set(load.statuses) <= {200, 204}
        answered += before
    record(
        Topic.SHUTDOWN,
        f"SIGTERM under load, connections {connections}: every request that was sent gets a response, exit code 0.",
        f"{stops} stops at {answered / seconds:.0f} requests/s of {caller.clients} clients: 0 resets, 0 unanswered",
    )


def test_a_rolling_restart_fails_no_call_of_the_sdk(
    database: Database, database_url: str, form: Form, record: Record
) -> None:
    restarts = form(short=1, full=8)
    key = credentials.create_key(database, "rolling")
    with ExitStack() as stack:
        running = [ExitStack(), ExitStack()]
        servers = [
            stack.enter_context(each).enter_context(instance(database_url)) for each in running
        ]
        url = stack.enter_context(balancing([server.port for server in servers]))
        apps = Apps(url, key.account, key.key, stack.enter_context(ExitStack()), how_many=8)
        with apps.crowd:
            apps.await_calls(100)
            for restart in range(restarts):
                number = restart % len(servers)
                assert servers[number].stop() == 0
                running[number].close()
                apps.await_calls(50)
                servers[number] = running[number].enter_context(
                    instance(database_url, servers[number].port)
                )
                apps.await_calls(100)
    assert violations(apps.history) == []
    record(
        Topic.SHUTDOWN,
        "A rolling restart of two instances behind a TCP balancer fails no call of the SDK.",
        f"{restarts} restarts under {apps.how_many} apps: {len(apps.history):,} calls, 0 failed "
        f"({len(apps.retries)} retried), 0 lost",
    )
