"""PgBouncer, for tests that need a pooler."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.ports import free_port
from tests.support.waiting import wait_until

PGBOUNCER = Path("/usr/sbin/pgbouncer")

needs_pgbouncer = pytest.mark.skipif(
    not PGBOUNCER.exists(), reason="NOT TESTED: it takes PgBouncer (apt-get install pgbouncer)"
)


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Runs a PgBouncer in transaction mode in front of the database at `url`; yields the URL of the database there."""
    location = make_url(url)
    host = str(location.query["host"])
    port = free_port()
    own = location.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    with tempfile.TemporaryDirectory(prefix="ccs-pooler-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        # It trusts everybody, as the cluster of the tests does.
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n{location.database} = host={host} user={location.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\n"
        )
        command = [str(PGBOUNCER), "--quiet", str(directory / "pgbouncer.ini")]
        with subprocess.Popen([*_as_owner(Path(host)), *command], cwd="/") as process:
            try:
                wait_until(lambda: _accepts(own))
                yield own
            finally:
                process.terminate()


def _as_owner(directory: Path) -> list[str]:
    """Returns the prefix of a command that runs as the owner of the cluster, who alone may use its socket."""
    if os.geteuid() != 0:
        return []
    directory.parent.chmod(0o711)
    owner = directory.stat()
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]


def _accepts(url: str) -> bool:
    try:
        with psycopg.connect(url):
            return True
    except psycopg.OperationalError:
        return False
