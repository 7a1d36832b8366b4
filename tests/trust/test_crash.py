"""Nothing that was acknowledged is lost, whatever dies: the service, PostgreSQL, and at which moment."""

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
from tests.trust.clients import Answer, Client, Unanswered
from tests.trust.conftest import Form, Record
from tests.trust.processes import send, signal_tree
from tests.trust.reliability import Topic
from tests.trust.witnesses import Witnesses

WRITERS, READERS = 5, 3


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A data directory; a PostgreSQL that a killed service has left running in it is stopped."""
    with tempfile.TemporaryDirectory(prefix="ccs-crash-") as name:
        directory = Path(name)
        yield directory
        with EmbeddedPostgres(directory):
            pass


class Service:
    """A self-hosted service, as `ccs serve` brings it with its own PostgreSQL, that is killed and started again."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.database_url = EmbeddedPostgres(data_dir).url
        # A service that is killed cannot remove its temporary files: they go with the data directory.
        self._env = environment(
            TMPDIR=str(data_dir),
            CCS_DATA_DIR=str(data_dir),
            CCS_ACCESS_LOG="off",
            CCS_DRAIN_TIME="0.01",
        )
        self._running = ExitStack()
        self._log = (data_dir / "service.log").open("w")
        self._server = self._start("0")
        self.url = self._server.url
        self.account = str(self._server.said["account"])
        self.key = str(self._server.said["key"])

    def client(self) -> Client:
        """A client of the account that the first start has made."""
        return Client(self.url, self.account, self.key)

    def start(self) -> None:
        """Starts it again where it was."""
        self._server = self._start(str(self._server.port))

    def _start(self, port: str) -> Server:
        server = serving("--port", port, "--workers", "2", env=self._env, log=self._log)
        return self._running.enter_context(server)

    def kill(self) -> None:
        """Kills all its processes; PostgreSQL is none of them."""
        process = self._server.process
        supervisor = psutil.Process(process.pid)
        supervisor.suspend()
        workers = [w for w in supervisor.children(recursive=True) if "postgres" not in w.name()]
        send([supervisor, *workers], SIGKILL)
        process.wait()
        psutil.wait_procs(workers, timeout=10)

    def kill_postgres(self) -> None:
        """Kills all processes of PostgreSQL, as nothing but a power cut would."""
        signal_tree(self.postmaster, SIGKILL)

    @property
    def postmaster(self) -> int:
        """PostgreSQL's first process."""
        lock_file = self._data_dir / "postgres" / "postmaster.pid"
        return int(lock_file.read_text().split()[0])

    def close(self) -> None:
        """Stops it in good order."""
        self._running.close()
        self._log.close()

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._data_dir / "service.log").read_text()


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """A service with its own PostgreSQL."""
    service = Service(data_dir)
    yield service
    service.close()


@pytest.fixture
def witnesses(service: Service) -> Iterator[Witnesses]:
    """Writers and readers of a namespace of their own."""
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


@pytest.fixture
def audited(service: Service) -> Iterator[Audited]:
    """Threads that do what the audit tells of."""
    database = Database(service.database_url, Settings())
    env = environment(CCS_DATABASE_URL=service.database_url)
    yield Audited(service.url, database, env)
    database.release()


def test_the_audit_is_complete_whatever_is_killed(
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
    told, acknowledged = audited.told(), audited.acknowledged
    assert violations_of_audit(told, audited.happened(), acknowledged) == [], f"seed {audited.seed}"
    kinds = {event.action for event in acknowledged}
    assert kinds >= {"key.created", "key.first_used", "key.revoked", "namespace.deleted"}
    record(
        Topic.CRASH,
        "Whatever is killed, the audit has one line for each acknowledged action on a credential and each deleted "
        "namespace, and every line took place.",
        f"{rounds} kills of the service, {rounds} of PostgreSQL, {audited.commands_killed} of `ccs keys create`: "
        f"{len(acknowledged):,} acknowledged actions, {len(told):,} lines: 0 lost, 0 invented, 0 twice",
    )


def test_the_checker_notices_when_answers_do_not_wait_for_the_disk(
    service: Service, witnesses: Witnesses
) -> None:
    """`synchronous_commit = off`, the promise broken: PostgreSQL answers before its log is written."""
    with witnesses.crowd, durability_off(service):
        # Not all at once: the log is also written when a page of it is full, and what was written is not lost.
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
    """PostgreSQL writes its log to disk ten seconds after it has acknowledged a commit."""
    with psycopg.connect(service.database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("SELECT pg_reload_conf()")
    yield
    with psycopg.connect(service.database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")


class HastyProxy(BaseHTTPRequestHandler):
    """Between clients and a service: acknowledges each write before the service has even seen it."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.wfile.flush()
        self._forward(body)

    def do_GET(self) -> None:
        answer = self._forward(None)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.retry_after:
            self.send_header("Retry-After", answer.retry_after)
        self.end_headers()
        self.wfile.write(answer.body)

    def _forward(self, body: bytes | None) -> Answer | None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        client = service.client()
        try:
            return client.call(self.command, self.path, body)
        except Unanswered:
            return None
        finally:
            client.close()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def hasty_proxy(service: Service) -> Iterator[str]:
    """The URL of a hasty proxy before the service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), HastyProxy) as server:
        server.service = service  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_checker_notices_answers_before_the_commit(service: Service) -> None:
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
            witnesses.await_writes(10)  # acknowledged though nobody is there
            service.start()
            witnesses.read_all()
    assert violations(witnesses.notes.history)
