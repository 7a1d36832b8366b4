"""Starts and stops the embedded server. The first process that uses it starts it, and the last one stops it.

    CCS_DATA_DIR/
    ├── lock            locked exclusively while the server is started or stopped
    ├── users           locked in shared mode by every process that uses the server
    ├── server          locked by the server's own processes
    ├── postgres.log    PostgreSQL's output while it starts; later it logs to postgres/log/, one file per weekday
    └── postgres/       the cluster, with the socket, to which only the cluster's owner can connect

The lock on `server` tells whether the server is alive. A process id in a file does not, because it may by now belong to
a zombie or to another process.
"""

import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from ccs_server.embedded import locks
from ccs_server.embedded.cluster import ensure_cluster
from ccs_server.embedded.errors import (
    EmbeddedError,
    disk_is_full,
    embedded_errors,
    reports_full_disk,
)
from ccs_server.embedded.privileges import run
from ccs_server.embedded.processes import is_server

_SOCKET_NAME = ".s.PGSQL.5432"
# The maximum length of a Unix socket's path on any system (103 bytes), less the socket's name.
_LONGEST_CLUSTER_PATH = 103 - len(f"/{_SOCKET_NAME}")

_START_SECONDS = 300.0
"""Includes the recovery after a crash under load."""
_EXIT_SECONDS = 30.0
"""For the processes of a killed server, or of an interrupted `initdb`, to end."""
_PID_FILE_SECONDS = 1.0
"""For a server that has just been started to write its process id."""
_STOP_SECONDS = 60.0
_IMMEDIATE_STOP_SECONDS = 5.0
"""The part of the time for stopping that is kept for an immediate shutdown, if a fast shutdown takes too long."""


class EmbeddedPostgres:
    """The embedded server of the cluster in `data_dir`, as a context manager.

    The server runs during the block. The first process to enter starts it, and the last to leave stops it. An instance
    cannot be entered again before it is left. Stopping takes at most `stop_seconds`; a server that takes longer ends by
    itself, and recovers at the next start if necessary.
    """

    def __init__(self, data_dir: Path, *, stop_seconds: float = _STOP_SECONDS) -> None:
        self._home = data_dir.expanduser().absolute()
        self._cluster = self._home / "postgres"
        self._stop_seconds = stop_seconds
        self._users: IO[bytes] | None = None
        self._log_sizes: dict[Path, int] = {}

    @property
    def url(self) -> str:
        """The URL of the database; it can be used while the server runs."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._cluster))}"

    def __enter__(self) -> Self:
        """Starts the server if it is not running.

        Raises:
            EmbeddedError: the server cannot be started.
        """
        self.check_path()
        with embedded_errors(self._home):
            self._home.mkdir(parents=True, exist_ok=True)
            with locks.exclusive(self._home / "lock", _never):
                self._users = locks.open_for(self._home / "users")
                try:
                    fcntl.flock(self._users, fcntl.LOCK_SH)
                    self._start(_never)
                except EmbeddedError:
                    self._users.close()
                    raise
                except BaseException:
                    # A signal has interrupted the start, so stop the server that it may have started.
                    self._release(may_stop=True)
                    raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the server unless another process uses it."""
        with locks.exclusive(self._home / "lock", _after(self._stop_seconds)) as locked:
            self._release(may_stop=locked)

    def stop_within(self, seconds: float) -> None:
        """Limits the time for stopping the server to `seconds`."""
        self._stop_seconds = min(self._stop_seconds, seconds)

    def ensure_running(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Starts the server again if it has died; returns whether it had. Stops waiting when `give_up()` returns True.

        Raises:
            EmbeddedError: the server cannot be started.
        """
        if self._listens():
            return False
        with embedded_errors(self._home), locks.exclusive(self._home / "lock", give_up) as locked:
            return locked and self._start(give_up)

    def _release(self, *, may_stop: bool) -> None:
        """Releases the lock on `users`; if `may_stop`, stops the server unless another process uses it.

        `may_stop` requires `lock`, so that no other process is starting the server.
        """
        assert self._users is not None, "not entered"  # noqa: S101 - guards against a bug, not against input
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            if may_stop:
                self._stop()
        finally:
            # Unlock explicitly, since a forked child may still have the file open.
            fcntl.flock(self._users, fcntl.LOCK_UN)
            self._users.close()

    def check_path(self) -> None:
        """Checks the length of the directory's path.

        Raises:
            EmbeddedError: it is too long for the socket inside it.
        """
        if len(os.fsencode(self._cluster)) > _LONGEST_CLUSTER_PATH:
            longest = _LONGEST_CLUSTER_PATH - len("/postgres")
            raise EmbeddedError(
                f"The path {self._home} is too long for a Unix socket; "
                f"set CCS_DATA_DIR to a path of at most {longest} bytes."
            )

    def _start(self, give_up: Callable[[], bool]) -> bool:
        """Starts the server if it is not running, and waits until it is ready; returns whether it was started."""
        launched = False
        waiting_since = monotonic()
        while not self._is_ready():
            if give_up():
                return False
            with locks.hold(self._home / "server") as free:
                if free is None:
                    self._check_wait(waiting_since)
                elif launched:
                    raise self._failure()
                else:
                    self._launch(free)
                    launched, waiting_since = True, monotonic()
            sleep(locks.POLL_SECONDS)
        return launched

    def _launch(self, server_lock: int) -> None:
        """Starts the server with `pg_ctl`, which does not wait. The server inherits `server_lock`, which we hold."""
        if pid := self._postmaster():
            raise EmbeddedError(
                f"A PostgreSQL that ccs has not started (process {pid}) uses {self._cluster}; stop it and try again."
            )
        ensure_cluster(self._cluster, pass_fds=[server_lock])
        # No server uses the cluster. PostgreSQL would check the process ids in the lock files of a killed server.
        for stale in ("postmaster.pid", _SOCKET_NAME, f"{_SOCKET_NAME}.lock"):
            (self._cluster / stale).unlink(missing_ok=True)
        self._log_sizes = {log: log.stat().st_size for log in self._daily_logs()}
        with locks.open_for(self._home / "postgres.log", "wb") as log:
            run(
                "pg_ctl", "start", "--no-wait", "--silent", "--options=-k .",
                cluster=self._cluster, pass_fds=[server_lock], output=log,
            )  # fmt: skip

    def _check_wait(self, waiting_since: float) -> None:
        """Limits the wait for a server that is starting or stopping, or whose processes are still ending.

        Raises:
            EmbeddedError: the wait has taken too long.
        """
        waited = monotonic() - waiting_since
        if self._postmaster():
            if waited > _START_SECONDS:
                raise EmbeddedError(
                    f"The PostgreSQL in {self._cluster} is not ready after {_START_SECONDS:.0f} s; "
                    "look into its log there, and try again."
                )
        elif waited > _EXIT_SECONDS:
            raise EmbeddedError(
                f"Processes of a PostgreSQL that has ended still use {self._cluster}; end them and try again."
            )

    def _failure(self) -> EmbeddedError:
        """Returns the reason why the server has ended during its start."""
        why = self._fatal_message()
        if reports_full_disk(why) or (not why and shutil.disk_usage(self._home).free == 0):
            return disk_is_full(self._home)
        return EmbeddedError(
            f"The embedded PostgreSQL does not start: {why or 'it has logged no reason'} ({self._home})."
        )

    def _fatal_message(self) -> str:
        """Returns the last fatal message, or else the last line, that PostgreSQL has logged since its start."""
        logs = [self._home / "postgres.log", *self._daily_logs()]
        lines: list[str] = []
        for log in logs:
            with log.open("rb") as file:
                file.seek(self._log_sizes.get(log, 0))
                lines += file.read().decode(errors="replace").splitlines()
        for mark in ("PANIC: ", "FATAL: "):
            fatal = [line.partition(mark)[2] for line in lines if mark in line]
            if fatal:
                return fatal[-1].strip()
        return lines[-1].strip().rstrip(".") if lines else ""

    def _daily_logs(self) -> list[Path]:
        return list((self._cluster / "log").glob("*.log"))

    def _stop(self) -> None:
        """Stops the server if it runs: by a fast shutdown or, if that takes too long, by an immediate one.

        An immediate shutdown writes no checkpoint. It loses no data, but the next start must recover.
        """
        late = _after(_PID_FILE_SECONDS)
        while self._is_alive() and not self._postmaster() and not late():
            sleep(locks.POLL_SECONDS)
        immediate_seconds = min(_IMMEDIATE_STOP_SECONDS, self._stop_seconds / 2)
        for number, seconds in (
            (signal.SIGINT, self._stop_seconds - immediate_seconds),
            (signal.SIGQUIT, immediate_seconds),
        ):
            pid = self._postmaster()
            if not pid:
                return
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            late = _after(seconds)
            while self._is_alive():
                if late():
                    break
                sleep(locks.POLL_SECONDS)

    def _is_alive(self) -> bool:
        """Whether any process of the server is alive."""
        return locks.is_held(self._home / "server") or self._postmaster() is not None

    def _is_ready(self) -> bool:
        """Whether the server accepts connections. It listens earlier, but rejects clients until it is ready."""
        return self._lock_file()[7:8] in (["ready"], ["standby"]) and self._listens()

    def _listens(self) -> bool:
        """Whether a process listens on the server's socket. Its file alone may be left from a killed server."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            try:
                client.connect(str(self._cluster / _SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                return True  # the server is busy or suspended, and its backlog is full
        return True

    def _postmaster(self) -> int | None:
        """Returns the process id of the server; None if its lock file does not exist or is stale."""
        lines = self._lock_file()
        try:
            pid = int(lines[0])
            started = float(lines[2]) if len(lines) > 2 else None  # noqa: PLR2004 - the third line
        except (IndexError, ValueError):
            return None
        return pid if pid > 0 and is_server(pid, self._cluster, started) else None

    def _lock_file(self) -> list[str]:
        """Returns the lines of the server's lock file: its process id, start time, status and more."""
        try:
            text = (self._cluster / "postmaster.pid").read_text(errors="replace")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]


def _never() -> bool:
    return False


def _after(seconds: float) -> Callable[[], bool]:
    """Returns a function that tells whether `seconds` have passed since this call."""
    deadline = monotonic() + seconds
    return lambda: monotonic() > deadline
