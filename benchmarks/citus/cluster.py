"""Builds Citus from its source, and runs PostgreSQL 15 of Debian with and without it, on loopback."""

import os
import shutil
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.processes import free_port

VERSION = "v13.2.2"
"""The last release for PostgreSQL 15."""

DATABASE = "ccs"

_DEBIAN = Path("/usr/lib/postgresql/15"), Path("/usr/share/postgresql/15")
_RENAMED = "have_createdb_privilege"
_USER = "nobody"

# Loopback needs no TLS. A statement of this many nodes must not run out of connections.
_CONFIGURATION = """
port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{directory}'
max_connections = 300
max_prepared_transactions = 300
wal_level = logical
ssl = off
"""
_CITUS = """
shared_preload_libraries = 'citus'
citus.node_conninfo = 'sslmode=disable'
citus.enable_statistics_collection = off
"""
# Minor releases of 2026 accept only output plugins that are named here; earlier ones do not know the parameter.
_PLUGINS = "output_plugin_libraries = 'pgoutput,test_decoding,citus'\n"


def build(source: Path, directory: Path) -> Path:
    """Builds Citus from a repository, beside a copy of Debian's PostgreSQL, unless that is done; returns its programs.

    Needs Debian's postgresql-server-dev-15, flex, libkrb5-dev, liblz4-dev, libssl-dev and libzstd-dev.
    """
    root = directory / "root"
    programs = root / "usr/lib/postgresql/15/bin"
    if (programs.parent / "lib/citus.so").exists():
        return programs
    sources = directory / "source"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", source, "archive", VERSION], check=True, capture_output=True
    )
    subprocess.run(["tar", "x"], cwd=sources, input=archive.stdout, check=True)
    # PostgreSQL 15.19 exports a function of this name, which Citus defines for itself.
    for name in ("src/include/pg_version_compat.h", "src/backend/distributed/commands/database.c"):
        file = sources / name
        file.write_text(file.read_text().replace(_RENAMED, f"citus_{_RENAMED}"))
    configuration = f"PG_CONFIG={_DEBIAN[0] / 'bin/pg_config'}"
    configure = ["./configure", "--quiet", "--without-libcurl", configuration]
    subprocess.run(configure, cwd=sources, check=True)
    make = ["nice", "-n", "10", "make", "-s", "-j2", "with_llvm=no"]
    subprocess.run(make, cwd=sources, check=True)
    for tree in _DEBIAN:
        shutil.copytree(tree, root / tree.relative_to("/"), symlinks=True, dirs_exist_ok=True)
    install = ["make", "-s", "install", "with_llvm=no", f"DESTDIR={root}"]
    subprocess.run(install, cwd=sources, check=True)
    return programs


@dataclass
class Node:
    """A PostgreSQL server in a directory of its own."""

    programs: Path
    directory: Path
    port: int

    @classmethod
    def start(cls, programs: Path, directory: Path, *, has_citus: bool) -> "Node":
        """Creates a server with an empty database below `directory`, and starts it."""
        port = free_port()
        own = directory / f"postgres-{port}"
        node = cls(programs, own, port)
        own.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(own, _USER)
        node._run("initdb", "--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=trust")
        configuration = _CONFIGURATION.format(port=port, directory=own)
        if has_citus:
            configuration += _CITUS + (_PLUGINS if _knows_plugins(node) else "")
        with (own / "data/postgresql.conf").open("a") as file:
            file.write(configuration)
        node.run()
        node.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
        if has_citus:
            node.execute("CREATE EXTENSION citus")
        return node

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def run(self) -> None:
        """Starts the server, which may have been killed."""
        log = f"--log={self.directory / 'log'}"
        self._run("pg_ctl", "start", "--wait", "--silent", "--timeout=60", log)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def kill(self) -> None:
        """Kills all processes of the server at once, as the loss of its machine does."""
        pid = int((self.directory / "data/postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # some end by themselves without the first one
                process.kill()
        psutil.wait_procs(processes, 10)

    def execute(self, sql: str, *params: object, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Executes a statement by itself; returns its rows."""
        url = self.url.replace(f"/{DATABASE}", f"/{database}")
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            cursor = connection.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), f"--pgdata={self.directory / 'data'}"]
        subprocess.run(
            [*command, *arguments],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C", "HOME": str(self.directory)},
            user=_USER if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )


def _knows_plugins(node: Node) -> bool:
    asked = [str(node.programs / "postgres"), "--describe-config"]
    described = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return "output_plugin_libraries" in described


def cluster(programs: Path, directory: Path, workers: int) -> list[Node]:
    """Starts a coordinator and workers; returns them, the coordinator first."""
    nodes = [Node.start(programs, directory, has_citus=True) for _ in range(workers + 1)]
    coordinator = nodes[0]
    coordinator.execute(f"SELECT citus_set_coordinator_host('127.0.0.1', {coordinator.port})")
    for worker in nodes[1:]:
        add(coordinator, worker)
    return nodes


def add(coordinator: Node, worker: Node) -> None:
    """Adds a worker to the cluster."""
    coordinator.execute(f"SELECT citus_add_node('127.0.0.1', {worker.port})")


def rebalance(coordinator: Node) -> float:
    """Moves parts of the data so that all workers have as many; returns the seconds that it took."""
    began = time.monotonic()
    coordinator.execute("SELECT rebalance_table_shards(shard_transfer_mode := 'force_logical')")
    return time.monotonic() - began
