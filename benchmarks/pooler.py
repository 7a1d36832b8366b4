"""Measures the service behind PgBouncer against the service without it: `python -m benchmarks.pooler PGBOUNCER`.

PGBOUNCER is the program. It runs with docs/operate/pgbouncer.ini, on the same cores as everything else. The services
take turns; the ratios are the medians of the ratios within rounds.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

from benchmarks import bulk, lab
from benchmarks.database import Postgres
from benchmarks.load import Load, wrk
from benchmarks.operations import v1
from benchmarks.pages import DOCS, blocks, replaced
from benchmarks.processes import free_port, listening, output_of, start, wait_until
from benchmarks.scale import FULL
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, NAMESPACE, Instance

_OPERATIONS = ("read_all", "patch_1", "patch_10")
_SESSIONS = 5_000
_CONNECTIONS = 16
_PAGE = DOCS / "operate" / "database.md"
_FILE = DOCS / "operate" / "pgbouncer.ini"


def main() -> None:
    """Runs the measurement and prints the ratios."""
    arguments = _arguments()
    if not wrk.is_installed():
        sys.exit(f"The load generator is missing: {wrk.INSTALL}")
    print(output_of([str(arguments.program), "--version"]).splitlines()[0], flush=True)
    with lab.opened(FULL) as opened:
        (parameters,) = blocks(
            _PAGE, "## Behind PgBouncer", {"ROLE ccs": "ROLE postgres"}, language="sql"
        )
        with opened.postgres.connect() as connection:
            connection.execute(parameters.encode())
        services = {"plain": opened.instance("plain")}
        for pooler in arguments.modes:
            opened.postgres.create(pooler)
            url = _pooled(arguments.program, opened.postgres, opened.directory, pooler)
            settings = {
                "CCS_DATABASE_URL": url,
                "CCS_TRANSACTION_POOLER": pooler,
                "CCS_PURGE_INTERVAL": "86400",
                "CCS_QUEUE_LENGTH": "64",
            }
            services[pooler] = Instance(pooler, opened.directory, settings)
        for name in services:
            with opened.postgres.connect(name) as connection:
                bulk.load(connection, NAMESPACE, session_numbers(_SESSIONS), bulk.document())
                bulk.settle(connection)
        _measure(services, arguments.rounds, arguments.seconds)
    print(f"load average {os.getloadavg()[0]:.1f}")


def _measure(services: dict[str, Instance], rounds: int, seconds: float) -> None:
    load = Load(_CONNECTIONS, seconds)
    for operation in _OPERATIONS:
        found: dict[str, list[float]] = {name: [] for name in services}
        for number in range(rounds):
            names = list(services)[:: 1 if number % 2 else -1]
            for name in names:
                service = services[name]
                request = v1(ACCOUNT, NAMESPACE, service.headers)[operation]
                measured = wrk.run(request, service.port, _SESSIONS, load)
                found[name].append(measured.per_second)
        for name in services:
            ratio = median(
                here / plain for here, plain in zip(found[name], found["plain"], strict=True)
            )
            print(
                f"{operation} {name}: {median(found[name]):,.0f}/s, ratio {ratio:.2f}", flush=True
            )


def _pooled(program: Path, postgres: Postgres, directory: Path, database: str) -> str:
    """Starts PgBouncer in front of a database of this name, and returns its URL."""
    (socket,) = parse_qs(urlsplit(postgres.url(database)).query)["host"]
    owner = Path(socket).stat()
    home = directory / f"pgbouncer-{database}"
    home.mkdir()
    os.chown(home, owner.st_uid, owner.st_gid)
    port = free_port()
    (home / "userlist.txt").write_text('"postgres" "secret"\n')
    places = {
        "ccs = host=db.example.org port=5432 dbname=ccs": f"{database} = host={socket} dbname={database}",
        "listen_port = 6432": f"listen_port = {port}",
        "/var/run/postgresql": str(home),
        "/etc/pgbouncer/userlist.txt": str(home / "userlist.txt"),
    }
    file = home / "pgbouncer.ini"
    file.write_text(replaced(_FILE.read_text(), places))
    # It does not run as root, and only the owner of the socket may connect to it.
    own = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    command = [*([] if os.geteuid() else own), str(program), str(file)]
    running = start(f"pgbouncer-{database}", command, directory)
    wait_until(listening(port), running)
    return f"postgresql://postgres:secret@/{database}?host={home}&port={port}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.pooler", description=__doc__)
    parser.add_argument("program", type=Path, help="PgBouncer 1.21 or later")
    parser.add_argument("--modes", nargs="+", default=["prepared", "on"], help="how it is used")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main()
