"""What the parts of a run work with: one PostgreSQL, the services on it, and all stopped in the end."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import database, processes
from benchmarks.installed import Installed
from benchmarks.load import Load, Measurement
from benchmarks.scale import Scale
from benchmarks.stacks.base import Stack
from benchmarks.stacks.service import CCS, Instance


@dataclass(frozen=True)
class Sample:
    """One round of one operation on one stack: what the load generator saw, and what it cost."""

    measurement: Measurement
    operations_per_second: float
    cpu_stack: float
    """Microseconds of CPU per operation, of the stack's own programs."""
    cpu_database: float
    """The same, of PostgreSQL; 0 where the stack does not use it."""


@dataclass
class Lab:
    """The machine room of one run."""

    scale: Scale
    directory: Path
    postgres: database.Postgres
    missing: dict[str, str] = field(default_factory=dict)
    _instances: dict[str, Instance] = field(default_factory=dict)

    def instance(self, name: str, version: Installed | None = None) -> Instance:
        """A running service in the database of this name; both are made when first asked for.

        The service is that of this environment, or the version given.
        """
        if name not in self._instances:
            url = self.postgres.create(name)
            settings = {
                "CCS_DATABASE_URL": url,
                # The purge runs when a part of the benchmark starts it, and not while another measures.
                "CCS_PURGE_INTERVAL": "86400",
                # As many as there are connections at most: no stack refuses them, however long the disk stalls.
                "CCS_QUEUE_LENGTH": "64",
            }
            command, environment = (version.command, version.environment) if version else (CCS, {})
            self._instances[name] = Instance(
                name, self.directory, settings | environment, command=command
            )
        return self._instances[name]

    def sample(self, stack: Stack, operation: str, load: Load) -> Sample:
        """Measures, and counts the CPU that was spent meanwhile."""
        before, database_before = stack.begin(), self.postgres.usage()
        measurement = stack.measure(operation, load)
        after, database_after = stack.usage(), self.postgres.usage()
        steps = stack.steps(operation)
        done = max(1, measurement.requests) / steps
        spent_by_database = database_after.cpu - database_before.cpu if stack.on_postgres else 0.0
        return Sample(
            measurement,
            measurement.per_second / steps,
            1e6 * (after.cpu - before.cpu) / done,
            1e6 * spent_by_database / done,
        )


@contextmanager
def opened(scale: Scale) -> Iterator[Lab]:
    """A lab in a temporary directory; what it started is stopped at the end of the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-bench-")))
        directory.chmod(0o755)
        postgres = stack.enter_context(database.running(directory / "store"))
        stack.callback(processes.stop_all)
        yield Lab(scale, directory, postgres)
