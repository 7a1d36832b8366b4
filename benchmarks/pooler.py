"""Measures the service behind PgBouncer against the service without it: `python -m benchmarks.pooler PGBOUNCER`.

PGBOUNCER is the program. It runs with docs/operate/pgbouncer.ini, on the same cores as everything else. The services
take turns, in an order that changes; the ratios are the medians of the ratios within rounds. That of the CPU is what
throughput would be if nothing else used the cores, and is the steadier figure on a busy machine.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

from benchmarks import lab
from benchmarks.database import Postgres
from benchmarks.lab import Lab, Sample
from benchmarks.load import Load, wrk
from benchmarks.pages import DOCS, blocks, replaced
from benchmarks.processes import Program, free_port, listening, output_of, start, wait_until
from benchmarks.scale import FULL
from benchmarks.stacks.service import Service

_OPERATIONS = ("read_all", "patch_1", "patch_10")
_SESSIONS = 5_000
_CONNECTIONS = 16
_PAGE = DOCS / "operate" / "database.md"
_FILE = DOCS / "operate" / "pgbouncer.ini"
_MODES = ("prepared", "on")
"""The values of CCS_TRANSACTION_POOLER."""


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
        services = {"plain": Service(opened.instance("plain"), _SESSIONS)}
        for name in arguments.modes:
            services[name] = _behind_pgbouncer(opened, arguments.program, name)
        load = Load(_CONNECTIONS, arguments.seconds)
        print(
            "| operation | service | a second | ratio | CPU, µs | ratio |\n|---|---|---|---|---|---|"
        )
        for operation in arguments.only:
            _measure(opened, services, operation, arguments.rounds, load)
    print(f"\nload average {os.getloadavg()[0]:.1f}")


def _behind_pgbouncer(lab: Lab, program: Path, name: str) -> Service:
    pooler, url = _pooled(program, lab.postgres, lab.directory, name)
    variables = {"CCS_DATABASE_URL": url, "CCS_TRANSACTION_POOLER": name}
    service = Service(lab.instance(name, variables=variables), _SESSIONS)
    service.programs = (*service.programs, pooler)
    return service


def _measure(
    lab: Lab, services: dict[str, Service], operation: str, rounds: int, load: Load
) -> None:
    found: dict[str, list[Sample]] = {name: [] for name in services}
    # The first round warms up caches; it is not counted.
    for number in range(rounds + 1):
        lab.postgres.checkpoint()
        first = number % len(services)
        for name in (*list(services)[first:], *list(services)[:first]):
            sample = lab.sample(services[name], operation, load)
            if number:
                found[name].append(sample)
    for name, samples in found.items():
        pairs = list(zip(samples, found["plain"], strict=True))
        speed = median(here.operations_per_second for here in samples)
        cpu = median(map(_cpu, samples))
        by_speed = median(
            here.operations_per_second / plain.operations_per_second for here, plain in pairs
        )
        by_cpu = median(_cpu(plain) / _cpu(here) for here, plain in pairs)
        print(
            f"| {operation} | {name} | {speed:,.0f} | {by_speed:.2f} | {cpu:.0f} | {by_cpu:.2f} |",
            flush=True,
        )


def _cpu(sample: Sample) -> float:
    """Of the service, PgBouncer and PostgreSQL, in microseconds for an operation."""
    return sample.cpu_stack + sample.cpu_database


def _pooled(
    program: Path, postgres: Postgres, directory: Path, database: str
) -> tuple[Program, str]:
    """Starts PgBouncer in front of a database of this name; returns it and the URL of the database there."""
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
    return running, f"postgresql://postgres:secret@/{database}?host={home}&port={port}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.pooler", description=__doc__)
    parser.add_argument("program", type=Path, help="PgBouncer 1.21 or later")
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=_MODES)
    parser.add_argument("--only", nargs="+", choices=_OPERATIONS, default=_OPERATIONS)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main()
