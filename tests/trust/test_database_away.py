"""Database outages of every kind, and the responses that clients get during and after them."""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import monotonic

import psycopg
import pytest

from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.database import Database
from tests.support.service import Server, environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import violations
from tests.trust.clients import Client, check_unavailable
from tests.trust.conftest import Form, Record
from tests.trust.postgres import Cluster
from tests.trust.reliability import Topic
from tests.trust.sdk_apps import Apps
from tests.trust.witnesses import Witnesses

CLIENTS = 24
MAX_CONNECTIONS = 30
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ccs'"
CONNECT_TIMEOUT, STATEMENT_TIMEOUT = 2, 1.5
# The longest wait: for a connection, or for a response (plus a second, if PostgreSQL itself is frozen);
# twice, because a request may have to wait for a thread first; plus a margin for a busy machine.
BOUND_SECONDS = 2 * max(CONNECT_TIMEOUT, STATEMENT_TIMEOUT + 1) + 2
RESUME_SECONDS = 2


@dataclass(frozen=True)
class Instance:
    """A running service with an account."""

    server: Server
    account: str
    key: str
    log_file: Path

    def client(self) -> Client:
        """Returns a client of the account."""
        return Client(self.server.url, self.account, self.key)

    @property
    def log(self) -> str:
        """Returns the log of the service."""
        return self.log_file.read_text()


@contextmanager
def instance(database_url: str, directory: Path) -> Iterator[Instance]:
    """Runs a service with short timeouts on the database, which it migrates."""
    env = environment(
        CCS_DATABASE_URL=database_url,
        CCS_ACCESS_LOG="off",
        CCS_CONNECT_TIMEOUT=str(CONNECT_TIMEOUT),
        CCS_STATEMENT_TIMEOUT=str(STATEMENT_TIMEOUT),
    )
    schema.migrate(database_url)
    database = Database(database_url, Settings())
    key = credentials.create_key(database, "away")
    database.release()
    log_file = directory / f"service-{token_hex(4)}.log"
    with log_file.open("w") as log, serving("--workers", "2", env=env, log=log) as server:
        yield Instance(server, key.account, key.key, log_file)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """The directory of clusters and logs."""
    with tempfile.TemporaryDirectory(prefix="ccs-away-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def cluster(directory: Path) -> Iterator[Cluster]:
    """A cluster that allows few connections."""
    with (
        Cluster(directory / "cluster")
        .create(max_connections=str(MAX_CONNECTIONS))
        .removed_afterwards() as made
    ):
        made.start()
        yield made


@pytest.fixture(scope="module")
def service(cluster: Cluster, directory: Path) -> Iterator[Instance]:
    """A service on the cluster."""
    with instance(cluster.url, directory) as service:
        yield service


@contextmanager
def stopped(cluster: Cluster) -> Iterator[None]:
    """An operator stops and restarts the database."""
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


@contextmanager
def paused(cluster: Cluster) -> Iterator[None]:
    """The machine of the database hangs: connections stay open, but there are no responses."""
    cluster.pause()
    try:
        yield
    finally:
        cluster.resume()


@contextmanager
def out_of_connections(cluster: Cluster) -> Iterator[None]:
    """Other clients use all connections."""
    with ExitStack() as stack:
        hogs: list[psycopg.Connection[tuple[object, ...]]] = []
        while len(hogs) < MAX_CONNECTIONS:
            try:
                hogs.append(stack.enter_context(closing(cluster.connect())))
            except psycopg.OperationalError as error:
                assert "too many clients" in str(error)  # noqa: PT017 - any other error fails the test
                hogs[-1].execute(CUT)
        yield


@contextmanager
def read_only(cluster: Cluster) -> Iterator[None]:
    """The database accepts no writes, like a standby."""
    reload = "SELECT pg_reload_conf()"
    cluster.execute("ALTER SYSTEM SET default_transaction_read_only = on", reload)
    try:
        yield
    finally:
        cluster.execute("ALTER SYSTEM RESET default_transaction_read_only", reload)


Fault = Callable[[Cluster], AbstractContextManager[None]]


@pytest.mark.parametrize("fault", [stopped, paused, out_of_connections, read_only])
def test_clients_get_503_in_time_and_are_served_again_at_once(
    service: Instance, cluster: Cluster, fault: Fault, form: Form, record: Record
) -> None:
    away_seconds = form(short=0, full=6)
    with ExitStack() as clients:
        witnesses = Witnesses(service.client, clients, writers=CLIENTS // 2, readers=CLIENTS // 2)
        notes = witnesses.notes
        with witnesses.crowd:
            witnesses.await_writes(50)
            began = monotonic()
            with fault(cluster):
                wait_until(lambda: witnesses.crowd.check() and notes.statuses[503] >= 2 * CLIENTS)
                wait_until(lambda: monotonic() > began + away_seconds)
                assert_health_tells(service, ready=False)
            ended = monotonic()
            witnesses.await_writes(100)
            assert_health_tells(service, ready=True)
        witnesses.read_all()
    away = ended - began
    resumed = max(0.0, notes.last_refused - ended)
    assert notes.slowest < BOUND_SECONDS
    assert resumed < RESUME_SECONDS
    assert notes.unanswered == [], service.log
    assert violations(notes.history) == [], f"seed {witnesses.seed}"
    assert "Traceback" not in service.log
    name = fault.__name__.replace("_", " ")
    record(
        Topic.DATABASE_AWAY,
        f"Database {name}: every call gets a response in time, 503 with Retry-After if necessary; "
        f"the service recovers without a restart; nothing is lost.",
        f"away for {away:.1f} s under {CLIENTS} clients: {notes.statuses[503]:,} responses 503, the slowest response "
        f"{notes.slowest:.1f} s (timeouts {CONNECT_TIMEOUT} and {STATEMENT_TIMEOUT} s), the last refusal "
        f"{resumed:.1f} s after its return, 0 unanswered, 0 lost",
    )


def assert_health_tells(service: Instance, *, ready: bool) -> None:
    """Checks that /healthz is 200, and that /readyz says whether the service is ready."""
    with closing(service.client()) as client:
        assert client.call("GET", "/healthz").status == 200
        if ready:
            assert client.call("GET", "/readyz").status == 200
        else:
            check_unavailable(client.call("GET", "/readyz"))


def test_cut_connections_are_replaced(
    service: Instance, cluster: Cluster, form: Form, record: Record
) -> None:
    cuts = form(short=5, full=100)
    chance = random.Random()
    with ExitStack() as clients:
        witnesses = Witnesses(service.client, clients, writers=4, readers=4)
        with witnesses.crowd, closing(cluster.connect()) as operator:
            cut = 0
            for _ in range(cuts):
                witnesses.await_writes(chance.randrange(1, 30))
                cut += operator.execute(CUT).rowcount
            ended = monotonic()
            witnesses.await_writes(100)
        witnesses.read_all()
    notes = witnesses.notes
    assert notes.last_refused - ended < RESUME_SECONDS
    assert notes.unanswered == []
    assert violations(notes.history) == []
    assert "Traceback" not in service.log
    record(
        Topic.DATABASE_AWAY,
        "Connections cut: calls in progress get 503, the next call gets a new connection.",
        f"{cut} connections cut in {cuts} rounds: {notes.statuses[503]} responses 503 of "
        f"{notes.statuses.total():,}, 0 unanswered, 0 lost",
    )


def test_a_promoted_standby_takes_over(directory: Path, record: Record) -> None:
    """With synchronous replication, both servers have all acknowledged writes. The service finds the primary."""
    with ExitStack() as stack:
        primary = Cluster(directory / "primary").create()
        stack.enter_context(primary.removed_afterwards())
        primary.start(synchronous_standby_names="standby")
        standby = Cluster(directory / "standby").copy(primary, "standby")
        stack.enter_context(standby.removed_afterwards())
        standby.start()
        url = (
            f"postgresql://postgres@/postgres?host=127.0.0.1:{primary.port}&host=127.0.0.1:{standby.port}"
            "&target_session_attrs=read-write"
        )
        service = stack.enter_context(instance(url, directory))
        witnesses = Witnesses(service.client, stack, writers=8, readers=8)
        notes = witnesses.notes
        with witnesses.crowd:
            witnesses.await_writes(200)
            primary.kill()
            wait_until(lambda: witnesses.crowd.check() and notes.statuses[503] >= 20)
            assert_health_tells(service, ready=False)
            standby.promote()
            ended = monotonic()
            witnesses.await_writes(200)
            assert_health_tells(service, ready=True)
        witnesses.read_all()
    resumed = max(0.0, notes.last_refused - ended)
    assert notes.slowest < BOUND_SECONDS
    assert resumed < RESUME_SECONDS
    assert notes.unanswered == []
    assert violations(notes.history) == []
    assert "Traceback" not in service.log
    record(
        Topic.DATABASE_AWAY,
        "Failover to a promoted standby (synchronous replication, target_session_attrs=read-write): found without a "
        "restart, nothing is lost.",
        f"{notes.acknowledged:,} acknowledged writes before and after, 0 lost; the last refusal {resumed:.1f} s after "
        "the promotion",
    )


def test_the_sdk_carries_an_app_through_an_outage(
    service: Instance, cluster: Cluster, form: Form, record: Record
) -> None:
    seconds = form(short=1.0, full=5.0)
    with ExitStack() as clients:
        apps = Apps(service.server.url, service.account, service.key, clients, how_many=4)
        with apps.crowd:
            apps.await_calls(50)
            with stopped(cluster):
                began = monotonic()
                wait_until(lambda: apps.crowd.check() and monotonic() >= began + seconds)
            apps.await_calls(50)
    assert apps.retries
    assert violations(apps.history) == []
    record(
        Topic.DATABASE_AWAY,
        f"The SDK's retries carry an app through an outage of {seconds:.0f} s: no error, nothing lost.",
        f"{len(apps.history):,} calls of {apps.how_many} apps with the SDK's defaults, {len(apps.retries)} retries: "
        "0 errors, 0 lost",
    )
