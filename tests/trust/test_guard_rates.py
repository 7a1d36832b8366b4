"""A rate limit shared by instances, counted in a Redis, and their behaviour when it is unavailable."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from time import monotonic

import pytest

from ccs_server.store.database import Database
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until
from tests.trust.conftest import Record
from tests.trust.redis_server import REDIS, RedisServer
from tests.trust.reliability import Topic

RATE = 20
INSTANCES = 2


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if REDIS is None:
        pytest.skip("NOT TESTED: shared rates need redis-server, and there is none on the PATH")
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def instances(redis: RedisServer, database_url: str) -> Iterator[list[Server]]:
    env = environment(
        CCS_DATABASE_URL=database_url,
        CCS_RATE_LIMIT=f"{RATE}/hour",
        CCS_RATE_LIMIT_STORAGE=redis.url,
    )
    with ExitStack() as stack:
        yield [stack.enter_context(serving(env=env)) for _ in range(INSTANCES)]


@pytest.fixture
def everywhere(instances: list[Server], database: Database) -> Iterator[list[Account]]:
    """One account, as a client of every instance."""
    account = new_account(instances[0], database)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Account(server.url, account.id, account.key, account.username, account.password)
            )
            for server in instances
        ]


def test_instances_count_together(
    everywhere: list[Account], instances: list[Server], database: Database, record: Record
) -> None:
    responses = [
        account.v1("GET", "/ns/properties") for account in islice(cycle(everywhere), 2 * RATE)
    ]
    statuses = Counter(response.status_code for response in responses)
    assert statuses == {200: RATE, 429: RATE}
    assert all(int(response.headers["Retry-After"]) > 0 for response in responses[RATE:])
    with new_account(instances[0], database) as other:
        assert other.v1("GET", "/ns/properties").status_code == 200
    record(
        Topic.OVERLOAD,
        "CCS_RATE_LIMIT_STORAGE: instances that share a Redis give an account its rate once",
        f"{2 * RATE} requests to {INSTANCES} instances in turn, {RATE} allowed: {RATE} refused",
    )


@pytest.mark.parametrize("away", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "silent"])
def test_requests_do_not_wait_for_an_unavailable_redis(
    redis: RedisServer, everywhere: list[Account], away: signal.Signals, record: Record
) -> None:
    """Requests pass uncounted, and are counted again when Redis is available."""
    account = everywhere[0]
    wait_until(lambda: account.v1("GET", "/ns/properties").status_code == 429)
    redis.process.send_signal(away)
    waits = []
    for _ in range(RATE + 1):
        began = monotonic()
        assert account.v1("GET", "/ns/properties").status_code == 200
        waits.append(monotonic() - began)
    assert max(waits) < 1
    if away == signal.SIGSTOP:
        redis.process.send_signal(signal.SIGCONT)
    else:
        redis.process.wait()
        redis.start()
    wait_until(lambda: account.v1("GET", "/ns/properties").status_code == 429)
    record(
        Topic.OVERLOAD,
        f"A Redis that is {'gone' if away == signal.SIGKILL else 'silent'} delays no request, "
        "and counts again when it is back",
        f"the slowest request meanwhile {max(waits) * 1000:.0f} ms",
    )
