"""The server of the cluster in CCS_DATA_DIR: started by the first process that uses it, stopped by the last.

    CCS_DATA_DIR/
    ├── lock            held exclusively while the server is started or stopped
    ├── users           held shared by every process that uses the server
    ├── server          held by the server's own processes
    ├── postgres.log    what PostgreSQL says while it starts (later: postgres/log/, a file for each day of the week)
    └── postgres/       the cluster; the socket in it is its only entrance, open to its owner alone

Whether the server lives is known from its lock and never from a process id: one that is left in a file may by now be a
zombie's or another process's.
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
from ccs_server.embedded.errors import EmbeddedError, disk_is_full, explained, tells_of_full_disk
from ccs_server.embedded.privileges import run
from ccs_server.embedded.processes import is_server

_SOCKET_NAME = ".s.PGSQL.5432"
# What the path of a Unix socket may hold on every system, less its name.
_LONGEST_CLUSTER_PATH = 103 - len(f"/{_SOCKET_NAME}")

_START_SECONDS = 300.0  # as long as it takes to recover from a crash under load
_REMNANT_SECONDS = (
    30.0  # until the processes of a killed server have noticed, or an `initdb` has ended
)
_APPEAR_SECONDS = 1.0  # until a server that was launched just now has noted its process id
_STOP_SECONDS = 60.0
_QUIT_SECONDS = (
    5.0  # of these, for a stop without a checkpoint where one with it has taken too long
)


class EmbeddedPostgres:
    """The cluster in `data_dir`, started by the first of its users and stopped by the last.

    As a context manager it is in use for the length of the block. Not to be entered twice at once. Stopping it takes
    `stop_seconds` at most; a server that takes longer ends on its own, and recovers at the next start if need be.
    """

    def __init__(self, data_dir: Path, *, stop_seconds: float = _STOP_SECONDS) -> None:
        self._home = data_dir.expanduser().absolute()
        self._cluster = self._home / "postgres"
        self._stop_seconds = stop_seconds
        self._users: IO[bytes] | None = None
        self._log_sizes: dict[Path, int] = {}

    @property
    def url(self) -> str:
        """The URL of the database, valid while the server runs."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._cluster))}"

    def __enter__(self) -> Self:
        """Starts the server if it does not run.

        Raises:
            EmbeddedError: it cannot be started.
        """
        self._check_length()
        with explained(self._home):
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
                    # A signal has ended the start: what it has started is stopped.
                    self._leave(alone=True)
                    raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the server unless another process uses it."""
        with locks.exclusive(self._home / "lock", _after(self._stop_seconds)) as alone:
            self._leave(alone=alone)

    def stop_within(self, seconds: float) -> None:
        """Lets stopping the server take so many seconds at most."""
        self._stop_seconds = min(self._stop_seconds, seconds)

    def ensure_running(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Starts the server again if it has died; returns whether it had. Waits no longer once `give_up()` is true.

        Raises:
            EmbeddedError: it cannot be started.
        """
        if self._listens():
            return False
        with explained(self._home), locks.exclusive(self._home / "lock", give_up) as alone:
            return alone and self._start(give_up)

    def _leave(self, *, alone: bool) -> None:
        """Uses the server no longer; stops it if nobody else uses it and, as `alone` says, nobody starts it."""
        assert self._users is not None, "not entered"  # noqa: S101 - a fault of ours, not a check of input
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            if alone:
                self._stop()
        finally:
            # Unlocked by name: a forked child that still holds the file open must not keep the lock.
            fcntl.flock(self._users, fcntl.LOCK_UN)
            self._users.close()

    def _check_length(self) -> None:
        if len(os.fsencode(self._cluster)) > _LONGEST_CLUSTER_PATH:
            longest = _LONGEST_CLUSTER_PATH - len("/postgres")
            raise EmbeddedError(
                f"The path {self._home} is too long for a Unix socket; "
                f"set CCS_DATA_DIR to a path of at most {longest} bytes."
            )

    def _start(self, give_up: Callable[[], bool]) -> bool:
        """Starts the server if it does not run, and waits until it is ready; returns whether it did not run."""
        launched = False
        waiting_since = monotonic()
        while not self._is_ready():
            if give_up():
                return False
            with locks.hold(self._home / "server") as free:
                if free is None:
                    self._check_patience(waiting_since)
                elif launched:
                    raise self._failure()
                else:
                    self._launch(free)
                    launched, waiting_since = True, monotonic()
            sleep(locks.POLL_SECONDS)
        return launched

    def _launch(self, server_lock: int) -> None:
        """Has the server started by a program that ends at once; the server inherits its lock, which we hold."""
        if pid := self._postmaster():
            raise EmbeddedError(
                f"A PostgreSQL that ccs has not started (process {pid}) uses {self._cluster}; stop it and try again."
            )
        ensure_cluster(self._cluster, pass_fds=[server_lock])
        # Nobody uses the cluster. What a killed server has left would have PostgreSQL look at process ids.
        for left in ("postmaster.pid", _SOCKET_NAME, f"{_SOCKET_NAME}.lock"):
            (self._cluster / left).unlink(missing_ok=True)
        self._log_sizes = {log: log.stat().st_size for log in self._daily_logs()}
        with locks.open_for(self._home / "postgres.log", "wb") as log:
            run(
                "pg_ctl", "start", "--no-wait", "--silent", "--options=-k .",
                cluster=self._cluster, pass_fds=[server_lock], output=log,
            )  # fmt: skip

    def _check_patience(self, waiting_since: float) -> None:
        """Waits for a server that starts, stops or has left processes behind, but not for ever.

        Raises:
            EmbeddedError: it has taken too long.
        """
        waited = monotonic() - waiting_since
        if self._postmaster():
            if waited > _START_SECONDS:
                raise EmbeddedError(
                    f"The PostgreSQL in {self._cluster} is not ready after {_START_SECONDS:.0f} s; "
                    "look into its log there, and try again."
                )
        elif waited > _REMNANT_SECONDS:
            raise EmbeddedError(
                f"Processes of a PostgreSQL that has ended still use {self._cluster}; end them and try again."
            )

    def _failure(self) -> EmbeddedError:
        """Why the server that was launched has ended at once."""
        why = self._last_words()
        if tells_of_full_disk(why) or (not why and shutil.disk_usage(self._home).free == 0):
            return disk_is_full(self._home)
        return EmbeddedError(
            f"The embedded PostgreSQL does not start: {why or 'it has not said why'} ({self._home})."
        )

    def _last_words(self) -> str:
        """What PostgreSQL has said since the launch about its end; nothing if it could not."""
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
        """Stops the server if it runs: at first in good order, then without a checkpoint, which loses nothing."""
        late = _after(_APPEAR_SECONDS)
        while self._is_alive() and not self._postmaster() and not late():
            sleep(locks.POLL_SECONDS)
        quit_seconds = min(_QUIT_SECONDS, self._stop_seconds / 2)
        for number, seconds in (
            (signal.SIGINT, self._stop_seconds - quit_seconds),
            (signal.SIGQUIT, quit_seconds),
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
        """Whether any process of the server lives."""
        return locks.is_held(self._home / "server") or self._postmaster() is not None

    def _is_ready(self) -> bool:
        """Whether the server takes connections: it listens from early on, and refuses clients until it is ready."""
        return self._lock_file()[7:8] in (["ready"], ["standby"]) and self._listens()

    def _listens(self) -> bool:
        """Whether somebody listens on the server's socket; its file alone would be there after a kill, too."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            try:
                client.connect(str(self._cluster / _SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                return True  # one that is busy, or stopped, and has not taken the connections before this one
        return True

    def _postmaster(self) -> int | None:
        """The process id of the server, if what its lock file says is still true."""
        lines = self._lock_file()
        try:
            pid = int(lines[0])
            started = float(lines[2]) if len(lines) > 2 else None  # noqa: PLR2004 - the third line
        except (IndexError, ValueError):
            return None
        return pid if pid > 0 and is_server(pid, self._cluster, started) else None

    def _lock_file(self) -> list[str]:
        """The lines of the server's lock file: its process id, its start, its status and more."""
        try:
            text = (self._cluster / "postmaster.pid").read_text(errors="replace")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]


def _never() -> bool:
    return False


def _after(seconds: float) -> Callable[[], bool]:
    """Tells whether so many seconds have passed since now."""
    deadline = monotonic() + seconds
    return lambda: monotonic() > deadline
