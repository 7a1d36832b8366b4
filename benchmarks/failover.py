"""Fails the primary over under load, on one machine: `python -m benchmarks.failover`.

It runs the commands of docs/operate/failover.md with a port for each machine of that page: pg_auto_failover's monitor
and three databases, two instances of the service, and haproxy. Clients save and read without a pause, while the primary
is killed (all its processes at once, -9) and switched over in turn. In the end every acknowledged write is read back.
It prints the longest time that a client could not save, and could not read, in each step.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import psutil

from benchmarks.pages import DOCS, blocks, replaced
from benchmarks.processes import Program, free_port, responding, start, stop_all, wait_until

PAGE = DOCS / "operate" / "failover.md"
PROGRAMS = ("pg_autoctl", "haproxy")

_HOME = "/var/lib/postgresql"
_DATABASES = ("db1", "db2", "db3")
_PASSWORDS = {
    name: os.urandom(16).hex() for name in ("NODE_PASSWORD", "REPLICATION_PASSWORD", "CCS_PASSWORD")
}
_CLIENTS = 6
"""The clients that save; as many read."""
_PAUSE_SECONDS = 0.005
# A machine that is busy with other work takes long to start programs.
_START_SECONDS = 180.0
_SETTLED_SECONDS = 240.0
_QUIET_SECONDS = 3.0


class Databases(Protocol):
    """Databases of which one is the primary, and the others take over."""

    def primary(self) -> str: ...
    def kill(self, name: str) -> None: ...
    def restart(self, name: str) -> None: ...
    def await_settled(self) -> None: ...
    def switch_over(self) -> None: ...
    def service(self) -> dict[str, str]: ...


class Cluster:
    """The monitor and the databases of the page, as the user postgres, each with a port of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.chown(directory, "postgres")
        self._ports = {name: free_port() for name in ("monitor", *_DATABASES)}
        self._programs: dict[str, Program] = {}

    def create(self) -> None:
        """Creates and starts the machines, as the page says."""
        create, unit, settings = self._blocks("### The monitor", "monitor")
        self._run(create)
        self.start("monitor", self._run(unit))
        self._run(settings)
        for name in _DATABASES:
            create, passwords, _ = self._blocks("### The databases", name)
            self.start(name, self._run(create))
            if name == _DATABASES[0]:
                self._run(passwords)
            self.await_settled(1 + _DATABASES.index(name))
        _, _, formation = self._blocks("### The databases", "monitor")
        self._run(formation)
        self.await_settled()

    def start(self, name: str, unit: str) -> None:
        """Starts what the systemd unit of a machine starts."""
        lines = [line for line in unit.splitlines() if line.startswith("ExecStart = ")]
        (command,) = (line.removeprefix("ExecStart = ").split() for line in lines)
        program = start(name, [*as_postgres(), *command], self.directory, self._environment(name))
        self._programs[name] = program
        wait_until(lambda: self._is_ready(self._ports[name]), program, _START_SECONDS)

    def restart(self, name: str) -> None:
        """Starts a database that was killed."""
        (unit,) = self._blocks("### When a machine is back", name)
        self.start(name, self._run(unit))

    def _states(self, without: str = "") -> dict[str, str]:
        """The state of each other database; in parentheses while another one is assigned to it."""
        shown = self._run(
            f"pg_autoctl show state --json --pgdata {self.directory}/monitor", quiet=True
        )
        found = {}
        for node in json.loads(shown):
            now, then = node["current_group_state"], node["assigned_group_state"]
            if node["nodename"] != without:
                found[node["nodename"]] = now if now == then else f"({now})"
        return found

    def primary(self) -> str:
        """The database that is the primary."""
        (name,) = (name for name, state in self._states().items() if state == "primary")
        return name

    def await_settled(self, databases: int = len(_DATABASES), *, without: str = "") -> None:
        """Waits until there is a primary, and all others but one that is dead follow it."""
        first = "single" if databases == 1 else "primary"
        expected = sorted([first] + ["secondary"] * (databases - 1 - bool(without)))
        deadline = time.monotonic() + _SETTLED_SECONDS
        while sorted((states := self._states(without)).values()) != expected:
            assert time.monotonic() < deadline, states
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """Kills all processes of a database at once."""
        kill_tree(self._programs[name])

    def switch_over(self) -> None:
        """Makes another database the primary, as the page says."""
        (command,) = self._blocks("### Switch over", "monitor")
        self._run(command)

    def replace(self, name: str) -> None:
        """Replaces a database that was killed by a new one, as the page says."""
        drop, remove = self._blocks("### Replace a machine", name)
        self._run(drop)
        self._run(remove)
        create, _, _ = self._blocks("### The databases", name)
        self.start(name, self._run(create))

    def service(self) -> dict[str, str]:
        """The settings of an instance."""
        (settings,) = self._blocks("### The service", "", language="ini")
        return dict(line.split("=", 1) for line in settings.splitlines())

    def stop(self) -> None:
        """Kills everything; the databases are thrown away."""
        for program in reversed(self._programs.values()):
            kill_tree(program)

    def _blocks(self, heading: str, name: str, language: str = "sh") -> list[str]:
        """The commands of a section for one machine: the page writes those of a database for db1."""
        text = {
            f"{machine}.example.org:5432": f"127.0.0.1:{port}"
            for machine, port in self._ports.items()
        }
        if name in _DATABASES:
            text |= {f"{_HOME}/db1": f"{_HOME}/{name}", "--name db1": f"--name {name}"}
        text |= {f"{machine}.example.org": "127.0.0.1" for machine in self._ports} | _PASSWORDS
        text |= {_HOME: str(self.directory)}
        if name:
            text |= {"port 5432": f"port {self._ports[name]}", "-p 5432": f"-p {self._ports[name]}"}
        return [replaced(block, text) for block in blocks(PAGE, heading, {}, language=language)]

    def _environment(self, name: str = "") -> dict[str, str]:
        # The programs that the user postgres may run; Debian's wrappers in /usr/bin are for Debian's own clusters.
        return {
            "HOME": str(self.directory),
            "PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "PGDATA": str(self.directory / name),
        }

    def _is_ready(self, port: int) -> bool:
        ready = [
            "/usr/lib/postgresql/15/bin/pg_isready",
            "--quiet",
            "--host=127.0.0.1",
            f"--port={port}",
        ]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, script: str, *, quiet: bool = False) -> str:
        """Runs commands as the user postgres, and returns their output."""
        if not quiet:
            shown = replaced(script, {password: name for name, password in _PASSWORDS.items()})
            print("".join(f"  $ {line}\n" for line in shown.splitlines()), end="", flush=True)
        environment = self._environment()
        del environment["PGDATA"]
        done = subprocess.run(
            [*as_postgres(), "/bin/sh", "-euc", script],
            check=False, capture_output=True, text=True, cwd=self.directory, env=environment, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


class Service:
    """Two instances of the service, and haproxy in front of them."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self._directory = directory
        self._settings = settings
        self._instances: dict[str, tuple[int, Program]] = {}
        (commands,) = blocks(PAGE, "### The service", {})
        for command in commands.splitlines():
            print(f"  $ {command}", flush=True)
            made = subprocess.run(
                [sys.executable, "-m", "ccs_server", *command.split()[1:]],
                check=True, capture_output=True, text=True, env={**os.environ, **settings},
            )  # fmt: skip
        self.key: str = json.loads(made.stdout)["key"]
        self.start("app1")
        self.start("app2")
        self.port = free_port()
        places = {
            f"{name}.example.org:8000": f"127.0.0.1:{port}"
            for name, (port, _) in self._instances.items()
        }
        configuration = directory / "haproxy.cfg"
        text = replaced((DOCS / "operate" / "haproxy.cfg").read_text(), places)
        configuration.write_text(text.replace("bind :8080", f"bind 127.0.0.1:{self.port}"))
        (check,) = blocks(PAGE, "### The balancer", {"haproxy.cfg": str(configuration)})
        subprocess.run(check, shell=True, check=True)  # noqa: S602 - the page's command
        self._haproxy = start("haproxy", ["haproxy", "-db", "-f", configuration], directory)
        wait_until(responding(self.port, "/readyz"), self._haproxy)

    def start(self, name: str) -> None:
        """Starts an instance."""
        port = self._instances[name][0] if name in self._instances else free_port()
        settings = {
            **self._settings,
            "CCS_HOST": "127.0.0.1",
            "CCS_PORT": str(port),
            "CCS_OPERATIONS_PORT": "off",
            "CCS_ACCESS_LOG": "off",
        }
        program = start(
            name, [sys.executable, "-m", "ccs_server", "serve"], self._directory, settings
        )
        wait_until(responding(port, "/healthz"), program, _START_SECONDS)
        self._instances[name] = port, program

    def kill(self, name: str) -> None:
        """Kills all processes of an instance at once."""
        kill_tree(self._instances[name][1])


@dataclass
class User:
    """A client that repeats a request, and when each one succeeded."""

    times: list[float] = field(default_factory=lambda: [time.monotonic()])
    failures: int = 0
    by_standby: int = 0
    """Responses that a standby has given."""

    def longest_wait(self, begin: float, end: float) -> float:
        """The longest time without a success, of those that ended between the two times."""
        return max(
            (
                after - before
                for before, after in zip(self.times, self.times[1:], strict=False)
                if begin < after <= end
            ),
            default=end - begin,
        )


class _Answer(NamedTuple):
    content: bytes
    source: str | None
    """Which database has been read, if the client has asked."""


class Load:
    """Clients that save new properties, each in a session of its own, and two kinds of clients that read them.

    Those of the second kind take what a standby has.
    """

    def __init__(self, service: Service) -> None:
        self._port = service.port
        self._headers = {"maven-api-key": service.key, "Content-Type": "application/json"}
        self.writers = [User() for _ in range(_CLIENTS)]
        self.readers = [User() for _ in range(_CLIENTS)]
        self.eventual_readers = [User() for _ in range(_CLIENTS)]
        self._acknowledged: list[set[str]] = [set() for _ in range(_CLIENTS)]
        self._is_over = threading.Event()

    @property
    def users(self) -> tuple[list[User], ...]:
        return self.writers, self.readers, self.eventual_readers

    @property
    def acknowledged(self) -> int:
        return sum(map(len, self._acknowledged))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs the clients for the length of the block."""
        threads = [
            threading.Thread(target=work, args=[number])
            for number in range(_CLIENTS)
            for work in (self._save, self._read, self._read_eventually)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def await_successes(self, since: float, seconds: float = 240.0) -> None:
        """Waits until every client has succeeded after `since`."""
        deadline = time.monotonic() + seconds
        while any(user.times[-1] <= since for users in self.users for user in users):
            assert time.monotonic() < deadline, "the service does not come back"
            time.sleep(0.02)

    def lost(self) -> int:
        """How many acknowledged writes cannot be read."""
        missing = 0
        for number, names in enumerate(self._acknowledged):
            answer = self._send(self._connect(), "GET", number)
            assert answer is not None, "the service does not answer"
            stored = json.loads(answer.content)
            missing += sum(stored.get(name) != name for name in names)
        return missing

    def _connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=30)

    def _save(self, number: int) -> None:
        user, connection = self.writers[number], self._connect()
        for name in map("p{}".format, count()):
            if self._is_over.is_set():
                return
            if self._send(connection, "PUT", number, name) is not None:
                self._acknowledged[number].add(name)
                user.times.append(time.monotonic())
            else:
                user.failures += 1
            time.sleep(_PAUSE_SECONDS)

    def _read(self, number: int) -> None:
        self._keep_reading(self.readers[number], number, {})

    def _read_eventually(self, number: int) -> None:
        eventual = {"Ccs-Consistency": "eventual"}
        self._keep_reading(self.eventual_readers[number], number, eventual)

    def _keep_reading(self, user: User, session: int, headers: Mapping[str, str]) -> None:
        connection = self._connect()
        while not self._is_over.is_set():
            answer = self._send(connection, "GET", session, "p0", headers)
            if answer is not None:
                user.times.append(time.monotonic())
                user.by_standby += answer.source == "standby"
            else:
                user.failures += 1
            time.sleep(_PAUSE_SECONDS)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        session: int,
        name: str = "",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> _Answer | None:
        """Sends a request. Returns the answer if it is a success, None if the service could not be used."""
        path = f"/v1/account/demo/failover/s{session}/properties{name and '/' + name}"
        body = json.dumps(name) if method == "PUT" else None
        try:
            connection.request(method, path, body, {**self._headers, **headers})
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            connection.close()
            return None
        if response.status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}:
            return None
        # A read may come before the first save.
        assert response.status in {200, 204, 404}, (response.status, content)
        return _Answer(content, response.getheader("Ccs-Source"))


@dataclass(frozen=True)
class Step:
    """What was done, and the longest time that a client waited for a success meanwhile."""

    what: str
    without_writes: float
    without_reads: float
    without_eventual_reads: float


class Drill:
    """The steps of a run."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.steps: list[Step] = []

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Does something, and waits until all clients are served again."""
        print(what, flush=True)
        begin = time.monotonic()
        yield
        # A client that was answered just before the failure has not noticed it.
        self._load.await_successes(time.monotonic() + 1)
        end = time.monotonic()
        waits = (max(user.longest_wait(begin, end) for user in users) for users in self._load.users)
        self.steps.append(Step(what, *waits))
        print(f"  {self.steps[-1]}", flush=True)


def kill_tree(program: Program) -> None:
    """Kills a program and all its descendants, the first one first, so that it starts none anew."""
    try:
        root = psutil.Process(program.process.pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    program.process.wait()


def main() -> None:
    """Runs the drill and prints what was seen."""
    arguments = _arguments()
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        sys.exit(f"Install {', '.join(missing)}; docs/operate/failover.md says how.")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-failover-")))
        directory.chmod(0o755)
        stack.callback(stop_all)
        databases = directory / "databases"
        databases.mkdir()
        cluster = Cluster(databases)
        stack.callback(cluster.stop)
        cluster.create()
        lost = drill(cluster, directory, arguments.rounds)
        victim = cluster.primary()
        print(f"replace {victim}")
        cluster.kill(victim)
        cluster.await_settled(without=victim)
        cluster.replace(victim)
        cluster.await_settled()
    if lost:
        sys.exit(1)


def drill(cluster: Databases, directory: Path, rounds: int) -> int:
    """Fails over under load and prints what was seen. Returns how many acknowledged writes were lost."""
    service = Service(directory, cluster.service())
    load = Load(service)
    steps = Drill(load)
    with load.running():
        load.await_successes(time.monotonic() + _QUIET_SECONDS)
        for _ in range(rounds):
            _fail_over(steps, cluster, service)
    lost = load.lost()
    _print(load, steps.steps, lost)
    return lost


def _fail_over(drill: Drill, cluster: Databases, service: Service) -> None:
    victim = cluster.primary()
    with drill.step("kill -9 of the primary"):
        cluster.kill(victim)
    with drill.step("the killed database comes back"):
        cluster.restart(victim)
        cluster.await_settled()
    with drill.step("switchover"):
        cluster.switch_over()
        cluster.await_settled()
    with drill.step("kill -9 of an instance of the service"):
        service.kill("app1")
    with drill.step("the instance comes back"):
        service.start("app1")


def _print(load: Load, steps: Sequence[Step], lost: int) -> None:
    print(f"\nload average {os.getloadavg()[0]:.1f}\n")
    print(f"acknowledged writes: {load.acknowledged:,}; lost: {lost}")
    writes, reads, eventual = (sum(user.failures for user in users) for users in load.users)
    print(f"refused or unanswered: {writes:,} writes, {reads:,} reads, {eventual:,} eventual reads")
    served = sum(len(user.times) - 1 for user in load.eventual_readers)
    by_standby = sum(user.by_standby for user in load.eventual_readers)
    print(f"eventual reads: {served:,}, of which standbys served {by_standby:,}\n")
    print(
        "| step | seconds without writes | without reads | without eventual reads |\n|---|---|---|---|"
    )
    for step in steps:
        print(
            f"| {step.what} | {step.without_writes:.1f} | {step.without_reads:.1f}"
            f" | {step.without_eventual_reads:.1f} |"
        )


def as_postgres() -> list[str]:
    """The beginning of a command that runs as the user postgres: PostgreSQL does not run as root."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often the primary is killed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
