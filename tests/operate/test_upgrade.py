"""Two instances behind haproxy are replaced one after the other, as docs/operate/upgrade.md says: no request fails."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.pages import DOCS, blocks, replaced
from ccs_server.settings import Settings
from ccs_server.store import credentials
from ccs_server.store.database import Database
from tests.support.ports import free_port
from tests.support.service import Server, environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import violations
from tests.trust.clients import Client, Unanswered
from tests.trust.witnesses import Witnesses

PAGES = DOCS / "operate"
DRAIN_SECONDS = "3"

# Of each client after a call. All of them together send some hundred requests a second, which a moment without an
# instance to serve them would fail.
PAUSE_SECONDS = 0.015


@contextmanager
def balanced(ports: list[int], directory: Path) -> Iterator[str]:
    """Runs haproxy with the page's configuration. Yields its URL."""
    port = free_port()
    file = directory / "haproxy.cfg"
    places = {
        "bind :8080": f"bind 127.0.0.1:{port}",
        "app1.example.org:8000": f"127.0.0.1:{ports[0]}",
        "app2.example.org:8000": f"127.0.0.1:{ports[1]}",
    }
    file.write_text(replaced((PAGES / "haproxy.cfg").read_text(), places))
    subprocess.run(["haproxy", "-c", "-f", file], check=True, capture_output=True)
    with (directory / "haproxy.log").open("w") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", file], stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: is_ready(url))
            yield url
        finally:
            process.terminate()
            process.wait(30)


def is_ready(url: str) -> bool:
    client = Client(url)
    try:
        return client.call("GET", "/readyz").status == 200
    except Unanswered:
        return False
    finally:
        client.close()


def await_ready(server: Server) -> None:
    """Runs the page's command that waits for an instance."""
    (commands,) = blocks(
        PAGES / "upgrade.md", "## Without a lost request", {"http://127.0.0.1:8000": server.url}
    )
    restart, wait = commands.splitlines()
    assert restart == "systemctl restart ccs"
    subprocess.run(wait, shell=True, check=True)


def test_no_request_fails_while_both_instances_are_replaced(
    database_url: str, tmp_path: Path
) -> None:
    if not shutil.which("haproxy"):
        pytest.skip("NOT TESTED: haproxy is not installed (apt-get install haproxy)")
    database = Database(database_url, Settings())
    key = credentials.create_key(database, "upgraded")
    database.release()
    env = environment(
        CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_DRAIN_TIME=DRAIN_SECONDS
    )
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        servers = [stack.enter_context(instance(port, env)) for port in ports]
        url = stack.enter_context(balanced(ports, tmp_path))
        witnesses = Witnesses(
            lambda: Client(url, key.account, key.key),
            stack,
            writers=3,
            readers=3,
            pause=PAUSE_SECONDS,
        )
        with witnesses.crowd:
            witnesses.await_writes(50)
            for port, server in zip(ports, servers, strict=True):
                assert server.stop() == 0
                await_ready(stack.enter_context(instance(port, env)))
                witnesses.await_writes(50)
        witnesses.read_all()
        notes = witnesses.notes
        assert notes.unanswered == []
        assert notes.statuses.keys() <= {200, 204, 404}, notes.statuses
        assert violations(notes.history) == []
        # It looks every half second.
        log = tmp_path / "haproxy.log"
        wait_until(lambda: len(re.findall("Server ready/app. is UP", log.read_text())) >= 2)


@contextmanager
def instance(port: int, env: dict[str, str]) -> Iterator[Server]:
    with serving("--workers", "1", "--port", str(port), env=env) as server:
        yield server
