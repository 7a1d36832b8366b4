"""PostgreSQL starts again after it was killed, even if another process has its process id now."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from ccs_server.embedded import (
    EmbeddedError,
    EmbeddedPostgres,
    locks,
    privileges,
    processes,
    server,
)
from tests.support.users import as_ordinary_user, ordinary_users_directory
from tests.support.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from ccs_server.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])):
    print("in use", flush=True)
    sys.stdin.read()
"""


@contextmanager
def user_of(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts a process of an ordinary user that uses the server until the end of the block."""
    process = subprocess.Popen(
        as_ordinary_user(sys.executable, "-c", HOLD, str(data_dir)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout
        assert process.stdout.readline() == "in use\n"
        yield process
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) in {0, -signal.SIGKILL}


def server_tree(data_dir: Path) -> list[psutil.Process]:
    """Returns the processes of the running server, the postmaster first."""
    first = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    return [first, *first.children(recursive=True)]


def kill(victims: Iterable[psutil.Process]) -> None:
    """Kills processes, and waits until each has ended or is a zombie."""
    victims = list(victims)
    for process in victims:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: not any(is_alive(process) for process in victims))


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs and is not a zombie."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ask(data_dir: Path, query: str) -> object:
    """Returns the result of a query."""
    with psycopg.connect(EmbeddedPostgres(data_dir).url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return row[0]


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """The data directory of an ordinary user whose service and server were killed together; it contains one row."""
    with ordinary_users_directory() as directory:
        with user_of(directory) as user:
            with psycopg.connect(EmbeddedPostgres(directory).url) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
            server_processes = server_tree(directory)
            user.kill()
            kill(server_processes)
        assert (directory / "postgres" / "postmaster.pid").exists()
        yield directory


@pytest.fixture
def killed(template: Path, nobodys_directory: Path) -> Path:
    """A copy of `template`."""
    command = ["cp", "-a", f"{template}/.", str(nobodys_directory)]
    subprocess.run(command, check=True)
    return nobodys_directory


def give_process_id_to(data_dir: Path, pid: int) -> None:
    """Makes both lock files of the server name another process."""
    files = [*data_dir.glob("postgres/postmaster.pid"), *data_dir.glob("*/.s.PGSQL.5432.lock")]
    assert len(files) == 2
    for file in files:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([f"{pid}\n", *lines[1:]]))


@contextmanager
def another_process() -> Iterator[int]:
    """A process of the same ordinary user that is not PostgreSQL."""
    process = subprocess.Popen(as_ordinary_user("sleep", "600"))
    # Wait until `setpriv` has switched to the user: only then is its process id that of a process of this user.
    wait_until(lambda: psutil.Process(process.pid).name() == "sleep")
    yield process.pid
    process.kill()
    process.wait()


@contextmanager
def zombie() -> Iterator[int]:
    """A process of the same ordinary user that has ended and is not reaped."""
    process = subprocess.Popen(as_ordinary_user("true"))
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    yield process.pid
    process.wait()


@contextmanager
def another_postgresql() -> Iterator[int]:
    """A process of the same ordinary user that is called postgres and has another working directory."""
    with ordinary_users_directory() as directory:
        shutil.copy("/bin/sleep", directory / "postgres")
        process = subprocess.Popen(as_ordinary_user("./postgres", "600"), cwd=directory)
        wait_until(lambda: psutil.Process(process.pid).name() == "postgres")
        yield process.pid
        process.kill()
        process.wait()


@pytest.mark.parametrize("holder", [another_process, zombie, another_postgresql])
def test_it_starts_although_another_process_has_the_process_id_of_the_killed_server(
    killed: Path, holder: Callable[[], AbstractContextManager[int]]
) -> None:
    with holder() as pid:
        give_process_id_to(killed, pid)
        with user_of(killed):
            assert ask(killed, "SELECT one FROM kept") == 1
        assert psutil.pid_exists(pid), "another process was killed"
    assert not (killed / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("left", ["", "12"])
def test_it_starts_with_a_truncated_lock_file(killed: Path, left: str) -> None:
    (killed / "postgres" / "postmaster.pid").write_text(left)
    with user_of(killed):
        assert ask(killed, "SELECT one FROM kept") == 1


def test_it_starts_after_service_and_server_were_killed_together(killed: Path) -> None:
    """Starting from what one such kill has left, which is `killed`."""
    with user_of(killed) as user:
        assert ask(killed, "SELECT one FROM kept") == 1
        server_processes = server_tree(killed)
        user.kill()
        kill(server_processes)
    with user_of(killed):
        assert ask(killed, "SELECT one FROM kept") == 1


def test_it_waits_for_the_remaining_processes_of_a_killed_server(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may still write, so a second server beside them would corrupt the data."""
    monkeypatch.setattr(server, "_EXIT_SECONDS", 0.2)
    with user_of(killed) as user:
        first, *others = server_tree(killed)
        straggler = next(each for each in others if "checkpointer" in "".join(each.cmdline()))
        straggler.suspend()
        user.kill()
        kill([first, *(each for each in others if each != straggler)])
    with pytest.raises(EmbeddedError, match="Processes of a PostgreSQL that has ended still use"):
        EmbeddedPostgres(killed).__enter__()
    assert straggler.is_running()
    kill([straggler])
    with user_of(killed):
        assert ask(killed, "SELECT one FROM kept") == 1


def test_a_server_that_ccs_did_not_start_is_not_touched(killed: Path) -> None:
    cluster = killed / "postgres"
    (cluster / "postmaster.pid").unlink()
    with (killed / "log").open("wb", buffering=0) as output:
        by_hand = ("pg_ctl", "start", "--wait", "--options=-k pg_stat_tmp")
        assert privileges.run(*by_hand, cluster=cluster, output=output).returncode == 0
    server_processes = server_tree(killed)
    with pytest.raises(EmbeddedError, match=r"that ccs has not started .* stop it and try again"):
        EmbeddedPostgres(killed).__enter__()
    assert server_processes[0].is_running()
    assert (cluster / "postmaster.pid").exists()
    kill(server_processes)
    with user_of(killed):
        assert ask(killed, "SELECT one FROM kept") == 1


def test_a_program_in_another_directory_is_not_the_server(tmp_path: Path) -> None:
    shutil.copy("/bin/sleep", tmp_path / "postgres")
    with subprocess.Popen(["./postgres", "600"], cwd=tmp_path) as process:
        wait_until(lambda: psutil.Process(process.pid).name() == "postgres")
        assert processes.is_server(process.pid, tmp_path, None)
        assert not processes.is_server(process.pid, tmp_path.parent, None)
        process.kill()
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert not processes.is_server(process.pid, tmp_path, None)
    assert not processes.is_server(process.pid, tmp_path, None)
    assert not processes.is_server(os.getpid(), Path.cwd(), None)


STARTED = time.mktime((2026, 11, 26, 19, 17, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("line", "started", "is_it"),
    [
        ("Ss   Thu Nov 26 19:17:00 2026     /opt/a b/bin/postgres\n", STARTED, True),
        ("Ss   Thu Nov 26 19:17:00 2026     postgres\n", STARTED + 3, True),
        ("S    Thu Nov  5 19:17:00 2026     postgres\n", STARTED, False),
        ("S    Thu Nov 26 19:17:00 2026     postgres\n", None, True),
        ("Z    Thu Nov 26 19:17:00 2026     (postgres)\n", STARTED, False),
        ("Z+   Thu Nov 26 19:17:00 2026     postgres\n", None, False),
        ("S    Thu Nov 26 19:17:00 2026     /usr/bin/postgres_exporter\n", STARTED, False),
        ("S    Thu Nov 26 19:17:00 2026     sleep\n", STARTED, False),
        ("\n", STARTED, False),
        ("", None, False),
    ],
)
def test_without_proc_the_server_is_identified_by_ps(
    line: str, started: float | None, *, is_it: bool
) -> None:
    assert processes.is_server_by_ps(line, started) == is_it


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="NOT TESTED: no /bin/ps here")
def test_ps_prints_the_expected_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    shutil.copy("/bin/sleep", tmp_path / "postgres")
    began = time.time()
    with subprocess.Popen(["./postgres", "600"], cwd=tmp_path) as process:
        wait_until(lambda: psutil.Process(process.pid).name() == "postgres")
        assert processes.is_server(process.pid, tmp_path, began)
        assert not processes.is_server(process.pid, tmp_path, began - 3600)
        process.kill()
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert not processes.is_server(process.pid, tmp_path, began)


def test_a_process_forked_during_the_start_does_not_hold_the_servers_lock(
    tmp_path: Path,
) -> None:
    """Such as a worker, whose supervisor starts PostgreSQL again in another thread."""
    path = tmp_path / "server"
    with locks.hold(path) as descriptor:
        assert descriptor is not None
        assert locks.is_held(path)
        worker = multiprocessing.get_context("fork").Process(target=signal.pause)
        worker.start()
    wait_until(lambda: not locks.is_held(path))
    worker.kill()
    worker.join()
