"""The resources of a run: one PostgreSQL and the services on it, which are stopped at the end."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
    """One round of one operation on one stack: the measurement of the load generator, and the CPU cost."""

    measurement: Measurement
    operations_per_second: float
    cpu_stack: float
    """CPU of the stack's own programs per operation, in microseconds."""
    cpu_database: float
    """CPU of PostgreSQL per operation, in microseconds; 0 if the stack does not use it."""


@dataclass
class Lab:
    """The resources of one run."""

    scale: Scale
    directory: Path
    postgres: database.Postgres
    missing: dict[str, str] = field(default_factory=dict)
    _instances: dict[str, Instance] = field(default_factory=dict)

    def instance(
        self,
        name: str,
        version: Installed | None = None,
        variables: Mapping[str, str] | None = None,
        command: Sequence[str] = CCS,
    ) -> Instance:
        """Returns a running service with a database of this name, and creates both at the first call.

        The service is the installed one of this environment, started by `command`, unless a version is given.
        `variables` are added to its environment.
        """
        if name not in self._instances:
            url = self.postgres.create(name)
            settings = {
                "CCS_DATABASE_URL": url,
                # The purge must only run when a part of the benchmark starts it.
                "CCS_PURGE_INTERVAL": "86400",
                # The maximum number of connections, so that no request is refused if the disk stalls.
                "CCS_QUEUE_LENGTH": "64",
            }
            environment: Mapping[str, str] = {}
            if version:
                command, environment = version.command, version.environment
            self._instances[name] = Instance(
                name,
                self.directory,
                {**settings, **environment, **(variables or {})},
                command=command,
            )
        return self._instances[name]

    def sample(self, stack: Stack, operation: str, load: Load) -> Sample:
        """Measures an operation and the CPU that it costs."""
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
    """Opens a lab in a temporary directory, and stops everything at the end of the block."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ccs-bench-")))
        directory.chmod(0o755)
        postgres = stack.enter_context(database.running(directory / "store"))
        stack.callback(processes.stop_all)
        yield Lab(scale, directory, postgres)
