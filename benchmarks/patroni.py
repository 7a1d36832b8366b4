"""As `benchmarks.failover`, with Patroni and docs/operate/patroni.yml: `python -m benchmarks.patroni`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks import failover
from benchmarks.pages import DOCS, replaced
from benchmarks.processes import Program, free_port, responding, start, stop_all, wait_until

_NAMES = ("db1", "db2", "db3")
_PASSWORDS = {name: os.urandom(16).hex() for name in ("POSTGRES_PASSWORD", "REPLICATION_PASSWORD")}
_SETTLED_SECONDS = 240.0


class Cluster:
    """Three databases with Patroni, as the user postgres, and one etcd."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        shutil.chown(directory, "postgres")
        self._ports = {name: free_port() for name in _NAMES}
        self._apis = {name: free_port() for name in _NAMES}
        self._etcd = free_port()
        self._programs: dict[str, Program] = {}
        self._environment = {
            "HOME": str(directory),
            "PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        }

    def create(self) -> None:
        """Starts etcd and the databases, and creates the role and the database of the service."""
        here, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{free_port()}"
        etcd: list[str | Path] = [
            "etcd", "--data-dir", self._directory / "etcd",
            "--listen-client-urls", here, "--advertise-client-urls", here,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
        ]  # fmt: skip
        self._start("etcd", *etcd)
        wait_until(responding(self._etcd, "/health"), self._programs["etcd"], seconds=60)
        text = (DOCS / "operate" / "patroni.yml").read_text()
        for name in _NAMES:
            port, api = f"127.0.0.1:{self._ports[name]}", f"127.0.0.1:{self._apis[name]}"
            places = {
                "etcd.example.org:2379": f"127.0.0.1:{self._etcd}",
                "0.0.0.0:8008": api,
                "db1.example.org:8008": api,
                "0.0.0.0:5432": port,
                "db1.example.org:5432": port,
                "/var/lib/postgresql/db1": str(self._directory / name),
                "name: db1": f"name: {name}",
            }
            self._file(name).write_text(replaced(text, places | _PASSWORDS))
            self.restart(name)
            if name == _NAMES[0]:
                self.await_settled(1)
        self.await_settled()
        url = (
            f"postgresql://postgres:{_PASSWORDS['POSTGRES_PASSWORD']}"
            f"@127.0.0.1:{self._ports[self.primary()]}/postgres"
        )
        for statement in (
            "CREATE ROLE ccs LOGIN PASSWORD 'CCS_PASSWORD'",
            "CREATE DATABASE ccs OWNER ccs",
        ):
            subprocess.run(["psql", url, "-qc", statement], check=True)

    def restart(self, name: str) -> None:
        """Starts Patroni, which starts its database."""
        self._start(name, "patroni", self._file(name))

    def kill(self, name: str) -> None:
        """Kills all processes of Patroni and of its database, which is no child of it."""
        postmaster = int((self._directory / name / "postmaster.pid").read_text().split()[0])
        database = psutil.Process(postmaster)
        failover.kill_tree(self._programs[name])
        for process in (database, *database.children(recursive=True)):
            process.kill()

    def switch_over(self) -> None:
        """Makes the synchronous standby the primary."""
        states = self._states()
        candidate = next(name for name, role in states.items() if role == "sync_standby")
        command = ["patronictl", "-c", str(self._file(_NAMES[0])), "switchover", "--force"]
        command += ["--master", self.primary(), "--candidate", candidate, "ccs"]
        subprocess.run(command, check=True, env=self._environment, capture_output=True)

    def primary(self) -> str:
        """The database that is the primary."""
        return next(name for name, role in self._states().items() if role == "leader")

    def await_settled(self, databases: int = len(_NAMES)) -> None:
        """Waits until all databases run, one as the primary and one as its synchronous standby."""
        needed = {"leader"} if databases == 1 else {"leader", "sync_standby"}
        deadline = time.monotonic() + _SETTLED_SECONDS
        while not (len(states := self._states()) == databases and needed <= set(states.values())):
            assert time.monotonic() < deadline, states
            time.sleep(0.2)

    def service(self) -> dict[str, str]:
        """The settings of an instance."""
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self._ports.values())
        return {
            "CCS_DATABASE_URL": f"postgresql://ccs:CCS_PASSWORD@/ccs?{hosts}&target_session_attrs=read-write",
            "CCS_CONNECT_TIMEOUT": "2",
        }

    def stop(self) -> None:
        """Kills everything; the databases are thrown away."""
        for name in _NAMES:
            if name in self._programs and (self._directory / name / "postmaster.pid").exists():
                self.kill(name)
        failover.kill_tree(self._programs["etcd"])

    def _states(self) -> dict[str, str]:
        """The role of each database that runs, as any Patroni tells it."""
        for port in self._apis.values():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/cluster", timeout=5) as told:
                    members = json.load(told)["members"]
            except OSError:
                continue
            return {
                member["name"]: member["role"]
                for member in members
                if member["state"] in {"running", "streaming"}
            }
        return {}

    def _start(self, name: str, *command: str | Path) -> None:
        whole = [*failover.as_postgres(), *command]
        self._programs[name] = start(name, whole, self._directory, self._environment)

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.yml"


def main() -> None:
    """Runs the drill and prints what was seen."""
    missing = [program for program in ("patroni", "etcd", "haproxy") if not shutil.which(program)]
    if missing:
        sys.exit(f"Install {', '.join(missing)}; docs/operate/failover.md says how.")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-patroni-")))
        directory.chmod(0o755)
        stack.callback(stop_all)
        databases = directory / "databases"
        databases.mkdir()
        cluster = Cluster(databases)
        stack.callback(cluster.stop)
        cluster.create()
        lost = failover.drill(cluster, directory, rounds=1)
    if lost:
        sys.exit(1)


if __name__ == "__main__":
    main()
