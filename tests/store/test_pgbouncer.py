"""The service behind a real PgBouncer with few connections, as docs/operate/database.md says.

`CCS_TEST_PGBOUNCER` is its program, by default that in the path.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from benchmarks.pages import DOCS, blocks, replaced
from ccs_server.settings import Pooler, Settings
from ccs_server.store import credentials, schema
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from tests.support.ports import free_port
from tests.support.service import environment, serving
from tests.support.waiting import wait_until
from tests.trust.checker import violations
from tests.trust.clients import Client
from tests.trust.postgres import Cluster
from tests.trust.witnesses import Witnesses

KEEPS_PREPARED = (1, 21)
CONNECTIONS = 2
PREPARED = Statement.of(
    "test_pgbouncer_prepared",
    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%json_object_agg%'",
)
SETTING = Statement.of("test_pgbouncer_setting", "SELECT current_setting('plan_cache_mode')")


# It refuses to run as root.
_AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def find_pgbouncer() -> str | None:
    """The program, if there is one."""
    return os.environ.get("CCS_TEST_PGBOUNCER") or shutil.which("pgbouncer")


def version(program: str) -> tuple[int, int]:
    """Its version, such as (1, 21)."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"PgBouncer (\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


@contextmanager
def pooled(program: str, port: int, directory: Path, *, connections: int) -> Iterator[str]:
    """Runs PgBouncer in front of the database `postgres` of a server, with so many connections. Yields its URL."""
    own_port = free_port()
    users = directory / "userlist.txt"
    users.write_text('"postgres" "secret"\n')
    places = {
        "ccs = host=db.example.org port=5432 dbname=ccs": f"ccs = host=127.0.0.1 port={port} dbname=postgres",
        "listen_port = 6432": f"listen_port = {own_port}",
        "unix_socket_dir = /var/run/postgresql": "unix_socket_dir =",
        "/etc/pgbouncer/userlist.txt": str(users),
        "default_pool_size = 20": f"default_pool_size = {connections}",
    }
    text = (DOCS / "operate" / "pgbouncer.ini").read_text()
    if version(program) < (1, 21):
        text = re.sub("^max_prepared_statements.*$", "", text, flags=re.MULTILINE)
    file = directory / "pgbouncer.ini"
    file.write_text(replaced(text, places))
    directory.chmod(0o755)
    url = f"postgresql://postgres:secret@127.0.0.1:{own_port}/ccs"
    command = [*(() if os.geteuid() else _AS_NOBODY), program, str(file)]
    with (directory / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: process.poll() is None and responds(url))
            yield url
        finally:
            process.terminate()
            process.wait(30)


def responds(url: str) -> bool:
    try:
        psycopg.connect(url, prepare_threshold=None).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def program() -> str:
    found = find_pgbouncer()
    if found is None:
        pytest.skip(
            "NOT TESTED: there is no PgBouncer (apt-get install pgbouncer, or CCS_TEST_PGBOUNCER)"
        )
    return found


@pytest.fixture(scope="module")
def url(program: str) -> Iterator[str]:
    """The URL of a PgBouncer in front of a migrated database, whose role has the parameters of the page."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-pooler-")))
        cluster = Cluster(directory / "cluster").create()
        stack.enter_context(cluster.removed_afterwards())
        cluster.start()
        schema.migrate(cluster.url)
        (parameters,) = blocks(
            DOCS / "operate" / "database.md",
            "## Behind PgBouncer",
            {"ROLE ccs": "ROLE postgres"},
            language="sql",
        )
        cluster.execute(*parameters.splitlines())
        yield stack.enter_context(pooled(program, cluster.port, directory, connections=CONNECTIONS))


@pytest.mark.parametrize("pooler", ["on", "prepared"])
def test_more_clients_than_connections_are_served_and_read_what_they_saved(
    program: str, url: str, pooler: Pooler
) -> None:
    if pooler == "prepared" and version(program) < KEEPS_PREPARED:
        pytest.skip(f"NOT TESTED: PgBouncer {version(program)} keeps no prepared statements")
    database = Database(url, Settings(transaction_pooler=pooler))
    key = credentials.create_key(database, "pooled")
    env = environment(CCS_DATABASE_URL=url, CCS_TRANSACTION_POOLER=pooler, CCS_ACCESS_LOG="off")
    with serving("--workers", "2", env=env) as server, ExitStack() as clients:
        witnesses = Witnesses(
            lambda: Client(server.url, key.account, key.key), clients, writers=6, readers=6
        )
        with witnesses.crowd:
            witnesses.await_writes(200)
        witnesses.read_all()
        client = clients.enter_context(closing(Client(server.url, key.account, key.key)))
        add = {"op": "incr", "ns": "pooled", "session": pooler, "name": "n"}
        for number in range(1, 21):
            assert client.ops(add, add).results()[-1]["value"] == 2 * number
    assert witnesses.notes.statuses.keys() <= {200, 204, 404}
    assert witnesses.notes.unanswered == []
    assert violations(witnesses.notes.history) == []
    prepared = int(database.execute(PREPARED).get_value(0, 0) or b"")
    assert (prepared > 0) is (pooler == "prepared")
    assert database.execute(SETTING).get_value(0, 0) == b"force_generic_plan"
    database.release()
