"""pgbench with the service's statements: the throughput of PostgreSQL without HTTP or Python."""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from statistics import quantiles

from benchmarks.database import pgbench
from benchmarks.load import Load, Measurement, Operation, Request
from benchmarks.load.requests import FIRST_SESSION, filled
from benchmarks.operations import DOCUMENT, ONE, ONE_VALUE, compact
from benchmarks.stacks.base import Stack
from benchmarks.stacks.floor import connection_options
from benchmarks.stacks.service import ACCOUNT, NAMESPACE
from ccs_server.store.connection import Statement
from ccs_server.store.reading import READ_ALL, READ_ONE
from ccs_server.store.saving import SAVE, SAVE_ONE

_THREADS = 2
_LOGGED = 0.1  # the fraction of transactions whose latency is logged


class Pgbench(Stack):
    """The statements of single requests, as prepared statements on the service's tables."""

    name = "pgbench"
    title = "pgbench, the service's statements, no HTTP"

    def __init__(self, sessions: int, database_url: str) -> None:
        super().__init__(sessions)
        self._database_url = database_url
        self._options = connection_options(database_url)
        one = (ONE, compact(ONE_VALUE))
        self._statements: dict[str, tuple[Statement, tuple[str, ...]]] = {
            "read_all": (READ_ALL, ()),
            "read_one": (READ_ONE, (ONE,)),
            "patch_1": (SAVE_ONE, one),
            "put_1": (SAVE_ONE, one),
            "patch_10": (SAVE, (compact(DOCUMENT),)),
        }
        self.operations = {name: Operation.of(Request("SQL", name)) for name in self._statements}

    def measure(self, operation: str, load: Load) -> Measurement:
        """Runs the operation's statement under load.

        Raises:
            RuntimeError: A statement failed.
        """
        statement, more = self._statements[operation]
        values = {1: ACCOUNT, 2: NAMESPACE, **dict(enumerate(more, 4))}
        with tempfile.TemporaryDirectory() as directory:
            script = Path(directory) / "script.sql"
            script.write_text(self._script(statement))
            command = [
                str(pgbench()), "--no-vacuum", "--protocol=prepared", f"--client={load.connections}",
                f"--jobs={_THREADS}", f"--time={max(1, round(load.seconds))}", "--log",
                f"--log-prefix={directory}/log", f"--sampling-rate={_LOGGED}", f"--file={script}",
                *(f"--define=p{place}={_filled(value)}" for place, value in values.items()),
                self._database_url,
            ]  # fmt: skip
            finished = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PGOPTIONS": self._options},
            )
            done = re.search(r"actually processed: (\d+)", finished.stdout)
            rate = re.search(r"tps = ([\d.]+)", finished.stdout)
            if finished.returncode or not done or not rate:
                raise RuntimeError(f"pgbench failed: {finished.stdout}{finished.stderr}")
            logs = Path(directory).glob("log.*")
            times = [int(line.split()[2]) / 1000 for log in logs for line in log.open()]
        percentiles = quantiles(times, n=100, method="inclusive")
        number = int(done[1])
        return Measurement(
            number, number / float(rate[1]), percentiles[49], percentiles[98], max(times)
        )

    def _script(self, statement: Statement) -> str:
        """Returns the statement as a pgbench script, with a random session as its third parameter."""
        last = FIRST_SESSION + self.sessions - 1
        sql = re.sub(r"--.*", "", statement.sql.decode())
        sql = re.sub(r"\$(\d+)", r":p\1", " ".join(sql.split()))
        return f"\\set p3 random({FIRST_SESSION}, {last})\n{sql};\n"


def _filled(text: str) -> str:
    return filled(text, FIRST_SESSION, FIRST_SESSION)
