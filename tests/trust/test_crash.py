"""No acknowledged write is lost, whether the service or PostgreSQL is killed, at any moment."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL
from threading import Thread
from time import monotonic

import psutil
import psycopg
import pytest

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.service import Server, environment, serving
from tests.trust.audited import Audited
from tests.trust.audited import violations as violations_of_audit
from tests.trust.checker import violations
from tests.trust.clients import Client, Response, Unanswered
from tests.trust.conftest import Form, Record
from tests.trust.processes import send, signal_tree
from tests.trust.reliability import Topic
from tests.trust.repeaters import Repeaters
from tests.trust.witnesses import Witnesses

WRITERS, READERS = 5, 3


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data directory. If a killed service has left a PostgreSQL running in it, it is stopped."""
    with tempfile.TemporaryDirectory(prefix="ccs-crash-") as name:
        directory = Path(name)
        yield directory
        with EmbeddedPostgres(directory):
            pass


class Service:
    """A `ccs serve` with its embedded PostgreSQL that can be killed and restarted."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.database_url = EmbeddedPostgres(data_dir).url
        # A killed service cannot remove its temporary files. They are removed with the data directory.
        self._env = environment(
            TMPDIR=str(data_dir),
            CCS_DATA_DIR=str(data_dir),
            CCS_ACCESS_LOG="off",
        )
        self._running = ExitStack()
        self._log = (data_dir / "service.log").open("w")
        self._server = self._start("0")
        self.url = self._server.url
        self.account = str(self._server.said["account"])
        self.key = str(self._server.said["key"])

    def client(self) -> Client:
        """Returns a client of the account that the first start created."""
        return Client(self.url, self.account, self.key)

    def start(self) -> None:
        """Restarts the service at the same port."""
        self._server = self._start(str(self._server.port))

    def _start(self, port: str) -> Server:
        server = serving("--port", port, "--workers", "2", env=self._env, log=self._log)
        return self._running.enter_context(server)

    def kill(self) -> None:
        """Kills all processes of the service, except PostgreSQL."""
        process = self._server.process
        supervisor = psutil.Process(process.pid)
        supervisor.suspend()
        workers = [w for w in supervisor.children(recursive=True) if "postgres" not in w.name()]
        send([supervisor, *workers], SIGKILL)
        process.wait()
        psutil.wait_procs(workers, timeout=10)

    def kill_postgres(self) -> None:
        """Kills all processes of PostgreSQL at once."""
        signal_tree(self.postmaster, SIGKILL)

    @property
    def postmaster(self) -> int:
        """The process id of the postmaster."""
        lock_file = self._data_dir / "postgres" / "postmaster.pid"
        return int(lock_file.read_text().split()[0])

    def close(self) -> None:
        """Stops the service properly."""
        self._running.close()
        self._log.close()

    @property
    def log(self) -> str:
        """Returns the log."""
        return (self._data_dir / "service.log").read_text()


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """A service with its embedded PostgreSQL."""
    service = Service(data_dir)
    yield service
    service.close()


@pytest.fixture
def witnesses(service: Service) -> Iterator[Witnesses]:
    """Writers and readers of their own namespace."""
    with ExitStack() as clients:
        yield Witnesses(service.client, clients, writers=WRITERS, readers=READERS)


@pytest.mark.parametrize("victim", ["service", "PostgreSQL"])
def test_no_acknowledged_write_is_lost_when_it_is_killed(
    service: Service, witnesses: Witnesses, victim: str, form: Form, record: Record
) -> None:
    kills = form(short=1, full=50) if victim == "service" else form(short=1, full=20)
    slowest = 0.0
    with witnesses.crowd:
        for _ in range(kills):
            witnesses.await_writes(witnesses.chance.randrange(1, 200))
            killed = monotonic()
            if victim == "service":
                service.kill()
                service.start()
            else:
                service.kill_postgres()
            witnesses.await_writes(1)
            slowest = max(slowest, monotonic() - killed)
    witnesses.read_all()
    notes = witnesses.notes
    assert violations(notes.history) == [], f"seed {witnesses.seed}"
    assert "Traceback" not in service.log
    record(
        Topic.CRASH,
        f"Every acknowledged write survives a SIGKILL of the {victim} at any moment; "
        "what each client saw is linearizable.",
        f"{kills} kills, {notes.acknowledged:,} acknowledged writes and {len(notes.history):,} operations "
        f"of {WRITERS + READERS} clients: 0 lost, 0 impossible; in service again within {slowest:.1f} s",
    )


@pytest.mark.parametrize("victim", ["service", "PostgreSQL"])
def test_a_repeated_batch_takes_place_once_whatever_is_killed(
    service: Service, victim: str, form: Form, record: Record
) -> None:
    kills = form(short=1, full=25)
    with ExitStack() as clients:
        repeaters = Repeaters(service.client, clients, writers=WRITERS)
        with repeaters.crowd:
            for _ in range(kills):
                repeaters.await_batches(random.randrange(1, 40))
                if victim == "service":
                    service.kill()
                    service.start()
                else:
                    service.kill_postgres()
                repeaters.await_batches(1)
        assert repeaters.violations() == []
    told = repeaters.told
    assert "Traceback" not in service.log
    record(
        Topic.CRASH,
        f"A batch with an idempotency key takes place once and as a whole, however often the {victim} is killed and "
        "the request repeated, and every repetition has the same response; the fences of a lease only grow.",
        f"{kills} kills, {len(told.batches):,} batches of {WRITERS} clients, {told.repeated:,} sent again, "
        f"{told.looks:,} reads of all, {len(told.fences):,} fences: 0 lost, 0 repeated, 0 half done",
    )


@pytest.fixture
def audited(service: Service) -> Iterator[Audited]:
    """Threads that perform audited actions."""
    database = Database(service.database_url, Settings())
    env = environment(CCS_DATABASE_URL=service.database_url)
    yield Audited(service.url, database, env)
    database.release()


def test_the_audit_is_complete_after_any_kill(
    service: Service, audited: Audited, form: Form, record: Record
) -> None:
    rounds, most = form(short=(1, 15), full=(20, 60))
    with audited.crowd:
        for _ in range(rounds):
            audited.await_events(audited.chance.randrange(5, most))
            service.kill()
            service.start()
            audited.await_events(audited.chance.randrange(5, most))
            service.kill_postgres()
        audited.await_events(1)
    recorded, acknowledged = audited.recorded(), audited.acknowledged
    assert violations_of_audit(recorded, audited.happened(), acknowledged) == [], (
        f"seed {audited.seed}"
    )
    kinds = {event.action for event in acknowledged}
    assert kinds >= {"key.created", "key.first_used", "key.revoked", "namespace.deleted"}
    record(
        Topic.CRASH,
        "After any kill, the audit has one record for each acknowledged action on a credential and each deleted "
        "namespace, and every recorded action took place.",
        f"{rounds} kills of the service, {rounds} of PostgreSQL, {audited.commands_killed} of `ccs keys create`: "
        f"{len(acknowledged):,} acknowledged actions, {len(recorded):,} records: 0 lost, 0 invented, 0 repeated",
    )


def test_the_checker_detects_acknowledgements_before_the_disk_write(
    service: Service, witnesses: Witnesses
) -> None:
    """Breaks the promise with `synchronous_commit = off`: PostgreSQL acknowledges before its WAL is written."""
    with witnesses.crowd, durability_off(service):
        # In several rounds: the WAL is also written when a page is full, and then nothing is lost.
        for _ in range(5):
            witnesses.await_writes(100)
            service.kill_postgres()
            witnesses.await_writes(1)
            witnesses.read_all()
            if violations(witnesses.notes.history):
                return
    pytest.fail("Five crashes without durability, and nothing was found missing.")


@contextmanager
def durability_off(service: Service) -> Iterator[None]:
    """Lets PostgreSQL write its WAL to disk ten seconds after it has acknowledged a commit."""
    with psycopg.connect(service.database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
    yield
    with psycopg.connect(service.database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")


class HastyProxy(BaseHTTPRequestHandler):
    """A proxy that acknowledges each write before the service has received it."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.wfile.flush()
        self._forward(body)

    def do_GET(self) -> None:
        response = self._forward(None)
        if response is None:
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(response.body)))
        if response.retry_after:
            self.send_header("Retry-After", response.retry_after)
        self.end_headers()
        self.wfile.write(response.body)

    def _forward(self, body: bytes | None) -> Response | None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        client = service.client()
        try:
            return client.call(self.command, self.path, body)
        except Unanswered:
            return None
        finally:
            client.close()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def hasty_proxy(service: Service) -> Iterator[str]:
    """Runs a hasty proxy in front of the service. Yields its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), HastyProxy) as server:
        server.service = service  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_checker_detects_acknowledgements_before_the_commit(service: Service) -> None:
    with hasty_proxy(service) as url, ExitStack() as clients:
        witnesses = Witnesses(
            lambda: Client(url, service.account, service.key),
            clients,
            writers=WRITERS,
            readers=READERS,
        )
        with witnesses.crowd:
            witnesses.await_writes(50)
            service.kill()
            witnesses.await_writes(10)  # acknowledged although the service is down
            service.start()
            witnesses.read_all()
    assert violations(witnesses.notes.history)
