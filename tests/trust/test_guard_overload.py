"""Overload: excess requests are refused at once with 503, and the rest are served as usual.

The database is made slow by a `now()` that takes twenty milliseconds. So little load is enough for an overload, and the
result does not depend on the machine or on other load.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from time import monotonic, sleep

import pytest
import requests
from sqlalchemy import text

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.serving.dispatcher import SLOTS
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support import databases
from tests.support.clock import SEARCH_PATH
from tests.support.service import Account, Server, environment, new_account, serving
from tests.support.waiting import wait_until
from tests.trust.arrivals import Arrivals
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic
from tests.trust.workers import memory, unharmed

STATEMENT_SECONDS = 0.02
STALL_SECONDS = 0.5
LONGEST_MEDIAN_SECONDS = 0.5
"""If the excess is refused, a request waits far less than this: a tenth of a second in the queue, plus its statement.
If nothing is refused, it waits far longer: at three times the sustainable rate the queue grows by 1.1 s of work a
second, so half of the requests of even the short form would wait longer than 0.8 s."""
WORKERS = 2
CAPACITY = WORKERS * (SLOTS - 1) / STATEMENT_SECONDS
"""Requests per second if the service did nothing but wait for the database."""

STUCK = 24

SUSTAINABLE = 0.7 * CAPACITY


@pytest.fixture(scope="module")
def url(cluster: EmbeddedPostgres) -> str:
    return databases.create_migrated_database(cluster, f"overload_{token_hex(6)}")


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    env = environment(CCS_DATABASE_URL=url, CCS_ACCESS_LOG="off", CCS_CREDENTIAL_CACHE="60")
    with serving("--workers", str(WORKERS), env=env) as server:
        yield server


@pytest.fixture
def _slow(url: str) -> Iterator[None]:
    """Makes every statement that calls `now()` take twenty milliseconds."""
    slow = (
        "CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE plpgsql STABLE AS "
        f"$$ BEGIN PERFORM pg_sleep({STATEMENT_SECONDS}); RETURN pg_catalog.now(); END $$"
    )
    fast = (
        "CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS "
        "'SELECT pg_catalog.now()'"
    )
    assert SEARCH_PATH.endswith("pg_catalog")
    _execute(url, slow)
    yield
    _execute(url, fast)


def _execute(url: str, statement: str) -> None:
    database = Database(url, Settings())
    with database.engine.connect() as connection:
        connection.execute(text(statement))


def _account(server: Server, url: str) -> Account:
    database = Database(url, Settings())
    account = new_account(server, database)
    database.release()
    account.v1("PUT", "/ns/properties/p", json=1).raise_for_status()
    return account


def _reading(account: Account) -> bytes:
    return (
        f"GET /v1/account/{account.id}/ns/properties/p HTTP/1.1\r\nHost: x\r\nmaven-api-key: {account.key}\r\n\r\n"
    ).encode()


@pytest.mark.usefixtures("_slow")
def test_excess_requests_are_refused_and_the_rest_served(
    server: Server, url: str, form: Form, record: Record
) -> None:
    seconds = form(short=1.5, full=10.0)
    account = _account(server, url)
    request = _reading(account)

    def arrive(rate: float, seconds: float) -> Arrivals:
        return Arrivals(server.port, request, rate, seconds)

    arrive(3 * SUSTAINABLE, 1.0).run()  # warms up threads, connections and caches
    normal = arrive(SUSTAINABLE, seconds).run()
    # A busy machine may cause a few refusals.
    assert normal.rate(503) < 0.01 * SUSTAINABLE
    before = memory(server)
    with unharmed(server):
        overload = arrive(3 * SUSTAINABLE, seconds).run()
    growth = memory(server) - before
    after = arrive(SUSTAINABLE, seconds / 2).run()

    assert overload.statuses.keys() == {200, 503}
    assert overload.without_retry_after == 0
    assert overload.rate(200) > 0.8 * normal.rate(200)
    assert overload.median(200) < LONGEST_MEDIAN_SECONDS
    assert growth < 16
    # Recovered at once: refusals end with the requests that were in the queue when the flood ended.
    late = [moment for moment, status in after.ended if status == 503]
    assert not late or max(late) < 0.25
    assert after.median(200) < LONGEST_MEDIAN_SECONDS
    record(
        Topic.OVERLOAD,
        "At three times the sustainable rate: 503 with Retry-After for excess requests, the rest is served as fast "
        "and as often as before, memory flat, recovered at once",
        f"{overload.rate(200):.0f} of {3 * SUSTAINABLE:.0f} a second served (normally {normal.rate(200):.0f}); median "
        f"{overload.median(200) * 1000:.0f} ms (normally {normal.median(200) * 1000:.0f}, after "
        f"{after.median(200) * 1000:.0f}); {growth:+.1f} MiB",
    )


def test_a_stall_of_the_database_is_not_treated_as_overload(server: Server, url: str) -> None:
    """All waiting requests are served after the stall, regardless of their number."""
    arrivals = Arrivals(server.port, _reading(_account(server, url)), 160, STALL_SECONDS)
    arrivals.run()
    database = Database(url, Settings())
    with ThreadPoolExecutor(1) as executor, database.engine.connect() as other:
        with other.execution_options(isolation_level="READ COMMITTED").begin():
            other.execute(text("LOCK TABLE property"))
            meanwhile = executor.submit(arrivals.run)
            sleep(STALL_SECONDS)
        assert meanwhile.result().statuses.keys() == {200}


def test_stuck_requests_of_one_account_do_not_delay_another(
    server: Server, url: str, form: Form, record: Record
) -> None:
    """The account's saves wait for a locked row, on more connections than the workers have slots."""
    stuck, other = _account(server, url), _account(server, url)
    database = Database(url, Settings())
    waits = []
    with ThreadPoolExecutor(STUCK) as executor, database.engine.connect() as holder:
        with holder.execution_options(isolation_level="READ COMMITTED").begin():
            locked = text("SELECT FROM property WHERE account = :account FOR UPDATE")
            holder.execute(locked, {"account": stuck.id})
            saves = [
                executor.submit(requests.put, f"{server.url}/v1/account/{stuck.id}/ns/properties/p",
                                headers={"maven-api-key": stuck.key}, json=2, timeout=30)
                for _ in range(STUCK)
            ]  # fmt: skip
            _await_waiting(url)
            for _ in range(form(short=50, full=500)):
                sent_at = monotonic()
                assert other.v1("PUT", "/ns/properties/p", json=2).status_code == 204
                waits.append(monotonic() - sent_at)
            assert not any(save.done() for save in saves)
        statuses = {save.result().status_code for save in saves}
    # Some requests waited until the statement timeout.
    assert statuses <= {204, 503}
    waits.sort()
    record(
        Topic.OVERLOAD,
        "An account whose requests are all stuck, on more connections than there are slots: another's saves are served",
        f"{STUCK} stuck; {len(waits)} saves of the other, the middle one {waits[len(waits) // 2] * 1000:.0f} ms, "
        f"the slowest {waits[-1] * 1000:.0f} ms",
    )


def _await_waiting(url: str) -> None:
    """Waits until as many statements wait for the lock as one account may run."""
    database = Database(url, Settings())
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with database.engine.connect() as connection:
        wait_until(lambda: bool(connection.execute(waiting).scalar_one() >= WORKERS * (SLOTS - 1)))


@pytest.mark.usefixtures("_slow")
def test_health_checks_respond_during_overload(server: Server, url: str) -> None:
    """Otherwise an orchestrator would restart a busy service."""
    flood = Arrivals(server.port, _reading(_account(server, url)), 3 * SUSTAINABLE, 1.5)
    with ThreadPoolExecutor(1) as executor:
        flooded = executor.submit(flood.run)
        asking = Arrivals(server.port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 20, 1.5).run()
        assert flooded.result().statuses[503]
    assert asking.statuses.keys() == {200}


@pytest.mark.usefixtures("_slow")
def test_one_accounts_flood_does_not_slow_another(
    url: str, form: Form, record: Record, server: Server
) -> None:
    """Measures after the first second of the flood, in which an account may send a whole second's requests at once."""
    seconds = form(short=1.5, full=15.0)
    rate = 30
    env = environment(
        CCS_DATABASE_URL=url,
        CCS_ACCESS_LOG="off",
        CCS_CREDENTIAL_CACHE="60",
        CCS_RATE_LIMIT=f"{rate}/second",
    )
    flooding, other = _account(server, url), _account(server, url)
    with serving("--workers", str(WORKERS), env=env) as limited:
        calm = Arrivals(limited.port, _reading(other), 10, seconds)
        flood = Arrivals(limited.port, _reading(flooding), CAPACITY, seconds + 2.5)
        calm.run()
        alone = calm.run()
        with ThreadPoolExecutor(1) as executor:
            flooding_on = executor.submit(flood.run)
            sleep(1.5)
            beside = calm.run()
            flooded = flooding_on.result()
    assert alone.statuses.keys() == beside.statuses.keys() == {200}
    # The flood must leave most of the capacity to others. Each worker counts separately, and a window that
    # began before the flood or ends after it allows as many requests again.
    assert flooded.statuses[200] <= WORKERS * rate * (flood.seconds + 2)
    assert flooded.statuses[429] > 0.5 * flooded.statuses.total()
    assert flooded.without_retry_after == 0
    assert beside.median(200) < LONGEST_MEDIAN_SECONDS
    record(
        Topic.OVERLOAD,
        "CCS_RATE_LIMIT: 429 with Retry-After for a flooding account; every request of another is served as before",
        f"{flooded.rate(429):.0f} a second refused; of the other's {beside.statuses.total()} none; its median "
        f"{beside.median(200) * 1000:.1f} ms (alone {alone.median(200) * 1000:.1f})",
    )
