"""The embedded PostgreSQL: which process starts and stops it, and what happens when one of them dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ccs_server.embedded import EmbeddedError, EmbeddedPostgres
from tests.support.databases import place_new_cluster
from tests.support.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from ccs_server.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])):
    print("in use", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory; a server that is still running in it after the test is stopped."""
    directory = tmp_path_factory.mktemp("d") / "new" / "ccs"
    yield directory
    if (directory / "postgres").exists():
        with EmbeddedPostgres(directory):
            pass
        assert not is_running(directory)


@pytest.fixture
def created(data_dir: Path) -> Path:
    """A data directory whose cluster has never run."""
    place_new_cluster(data_dir)
    return data_dir


@contextmanager
def holder(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout
        assert process.stdout.readline() == "in use\n"
        yield process
        process.kill()


def finish(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(30) == 0


def postmaster(data_dir: Path) -> int:
    """Returns the process id in the server's lock file; 0 if there is none."""
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    except FileNotFoundError:
        return 0


def is_running(data_dir: Path) -> bool:
    pid = postmaster(data_dir)
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_runs_while_it_is_used(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as embedded, psycopg.connect(embedded.url) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
        }
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert shown == {
        "fsync": ("on",),
        "synchronous_commit": ("on",),
        "full_page_writes": ("on",),
        "listen_addresses": ("",),
    }
    assert not is_running(data_dir)
    with EmbeddedPostgres(data_dir) as embedded, psycopg.connect(embedded.url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_the_last_user_stops_it(created: Path) -> None:
    with holder(created) as first, holder(created) as second:
        server = postmaster(created)
        finish(first)
        assert is_running(created)
        assert postmaster(created) == server
        finish(second)
        assert not is_running(created)


def test_a_process_that_was_killed_does_not_count_as_a_user(created: Path) -> None:
    with holder(created) as killed:
        killed.kill()
        killed.wait(30)
    assert is_running(created), "no process was left to stop it"
    server = postmaster(created)
    with EmbeddedPostgres(created):
        assert postmaster(created) == server
    assert not is_running(created)


def test_processes_may_start_it_concurrently(data_dir: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(data_dir)]
    users = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for user in users:
        assert user.stdout
        assert user.stdout.readline() == "in use\n"
    for user in users:
        finish(user)
        user.stdout.close() if user.stdout else None
    assert not is_running(data_dir)


def test_a_killed_server_is_started_again_with_its_data(created: Path) -> None:
    with EmbeddedPostgres(created) as embedded:
        with psycopg.connect(embedded.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        assert not embedded.ensure_running()
        os.kill(postmaster(created), signal.SIGKILL)
        wait_until(lambda: not is_running(created))
        assert embedded.ensure_running()
        with psycopg.connect(embedded.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_an_incomplete_cluster_is_created_again(data_dir: Path) -> None:
    (data_dir / "postgres.new").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir) as embedded, psycopg.connect(embedded.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (data_dir / "postgres.new").exists()


def test_a_cluster_of_another_version_is_refused(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 16, this is 18"):
        EmbeddedPostgres(data_dir).__enter__()
    (cluster / "PG_VERSION").unlink()
    cluster.rmdir()


def test_a_directory_that_cannot_be_created_is_reported(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # A short name: the path's length is refused first.
    file = tmp_path_factory.mktemp("d") / "file"
    file.touch()
    with pytest.raises(EmbeddedError, match=r"cannot be written \(Not a directory\)"):
        EmbeddedPostgres(file / "ccs").__enter__()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"too long for a Unix socket; set CCS_DATA_DIR"):
        EmbeddedPostgres(tmp_path / ("x" * 100)).__enter__()


def test_the_reason_why_a_server_cannot_start_is_reported(created: Path) -> None:
    with EmbeddedPostgres(created):
        pass
    configuration = created / "postgres" / "postgresql.conf"
    written = configuration.read_text()
    configuration.write_text(f"{written}\nshared_buffers = 'plenty'\n")
    with pytest.raises(EmbeddedError, match=r"does not start: .*postgresql\.conf"):
        EmbeddedPostgres(created).__enter__()
    configuration.write_text(written)
