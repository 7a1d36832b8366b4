"""How large an installation must be for a load: a calculation from measured figures.

`docs/operate/sizing.md` explains the model, lists the figures, and says what it leaves out.
"""

from dataclasses import dataclass
from math import ceil, expm1, sqrt

GB = 1e9
_PAGE_BYTES = 8192
_MICROSECONDS = 1e6
_DAY = 86_400


@dataclass(frozen=True)
class Figure:
    """A figure that the calculation uses: measured, or chosen."""

    value: float
    unit: str
    meaning: str
    source: str
    """The command that measured it, or why it was chosen."""
    date: str
    """The day on which it was measured, or empty if it was chosen."""


_SIZES = "python -m benchmarks.sizing"
_SIZES_DAY = "2026-11-27"
_SPEEDS = "nox -s bench -- --only comparison"
_SPEEDS_DAY = "2026-11-22"

TABLE_BYTES = Figure(
    190, "bytes", "of the table for a property with 26 bytes of name and value", _SIZES, _SIZES_DAY
)
VALUE_BYTES = Figure(
    1.39, "bytes", "of the table for each further byte of name or value", _SIZES, _SIZES_DAY
)
INDEX_BYTES = Figure(97, "bytes", "of the indexes for a property", _SIZES, _SIZES_DAY)
WAL_BYTES = Figure(338, "bytes", "of WAL for a save of one property", _SIZES, _SIZES_DAY)
IMAGE_BYTES = Figure(
    1561,
    "bytes",
    "of WAL more for the first change of a page after a checkpoint",
    _SIZES,
    _SIZES_DAY,
)
CONNECTION_BYTES = Figure(
    5.1e6, "bytes", "of memory of PostgreSQL for a connection", _SIZES, _SIZES_DAY
)
READ_SERVICE = Figure(
    195, "µs", "of the service's processors for a read of ten properties", _SPEEDS, _SPEEDS_DAY
)
SAVE_SERVICE = Figure(
    287, "µs", "of the service's processors for a save of one property", _SPEEDS, _SPEEDS_DAY
)
READ_DATABASE = Figure(
    81, "µs", "of PostgreSQL's processors for a read of ten properties", _SPEEDS, _SPEEDS_DAY
)
SAVE_DATABASE = Figure(
    219, "µs", "of PostgreSQL's processors for a save of one property", _SPEEDS, _SPEEDS_DAY
)
WORKER_BYTES = Figure(90e6, "bytes", "of memory of a worker", _SPEEDS, _SPEEDS_DAY)

BUSY = Figure(
    0.5, "", "of each processor is used", "chosen: the other half is for peaks and failures", ""
)
WORKER_CONNECTIONS = Figure(4, "", "connections of a worker", "the service opens no more", "")
CHECKPOINT_SECONDS = Figure(
    900, "s", "between two checkpoints", "chosen: `checkpoint_timeout` of the embedded database", ""
)
DISK_HEADROOM = Figure(
    1.5, "", "times the size of the store", "chosen: for dead rows, and to rebuild an index", ""
)
BASE_BYTES = Figure(2e9, "bytes", "of memory of a machine", "chosen: for its system", "")
BASE_DISK = Figure(10e9, "bytes", "of disk of a machine", "chosen: for its system and logs", "")
VACUUM_BYTES = Figure(
    100e6, "bytes", "of the store vacuumed in a second", "chosen: `vacuum_cost_limit = 600`", ""
)
TRANSACTIONS = Figure(
    1e9,
    "",
    "saves while the whole store is vacuumed once",
    "chosen: PostgreSQL stops at 2 billion",
    "",
)

FIGURES = (
    TABLE_BYTES, VALUE_BYTES, INDEX_BYTES, WAL_BYTES, IMAGE_BYTES, CONNECTION_BYTES,
    READ_SERVICE, SAVE_SERVICE, READ_DATABASE, SAVE_DATABASE, WORKER_BYTES,
    BUSY, WORKER_CONNECTIONS, CHECKPOINT_SECONDS, DISK_HEADROOM, BASE_BYTES, BASE_DISK, VACUUM_BYTES, TRANSACTIONS,
)  # fmt: skip

USUAL_BYTES = 26
"""The mean size of the name and value of a property in the benchmark's conversation, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is stored, and what is done with it at the busiest time."""

    properties: float
    """Live properties."""
    saves: float
    """Saves of one property, per second."""
    reads: float
    """Reads of a session with ten properties, per second."""
    value_bytes: float = USUAL_BYTES
    """The mean size of a property's name and value, in bytes."""
    hot: float = 0.2
    """The share of the store that is in use within a quarter of an hour."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The largest machine that is to be used."""

    cores: float = 32
    memory: float = 128 * GB
    disk: float = 4_000 * GB


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of an installation. Sizes are in bytes; those of the database are of all shards together."""

    table: float
    indexes: float
    wal_a_second: float
    database_cores: float
    database_memory: float
    """That of its cache and its connections, without that of the systems of its machines."""
    database_disk: float
    """That of the store and its WAL."""
    service_cores: float
    workers: int
    connections: int
    limits: dict[str, float]
    """For each resource of the database, the share that the load takes of the largest machine."""
    standbys: int
    instances: int
    """The number of machines that run the service; at least two, so that one may fail."""

    @property
    def wal_a_day(self) -> float:
        """Bytes of WAL per day, if the load were always that of the busiest time."""
        return self.wal_a_second * _DAY

    @property
    def max_wal_size(self) -> float:
        """PostgreSQL's setting of that name for one shard, so that a checkpoint begins only when it is due."""
        return max(2 * self.wal_a_second * CHECKPOINT_SECONDS.value / self.shards, 2 * GB)

    @property
    def scarcest(self) -> str:
        """The resource of the database that is used up first."""
        return max(self.limits, key=self.limits.__getitem__)

    @property
    def share(self) -> float:
        """The share of the largest machine that the database takes; more than 1 if it takes several."""
        return self.limits[self.scarcest]

    @property
    def shards(self) -> int:
        """The number of parts into which the store must be divided, each on a machine."""
        return max(1, ceil(self.share))

    @property
    def shard_memory(self) -> float:
        """The memory of the machine of one shard."""
        return BASE_BYTES.value + self.database_memory / self.shards

    @property
    def shard_disk(self) -> float:
        """The disk of the machine of one shard."""
        return BASE_DISK.value + self.database_disk / self.shards

    @property
    def instance_memory(self) -> float:
        """The memory of the machine of one instance of the service."""
        return BASE_BYTES.value + ceil(self.workers / self.instances) * WORKER_BYTES.value

    @property
    def machines(self) -> int:
        """The number of machines for the service, the shards and their standbys."""
        return self.instances + self.shards * (1 + self.standbys)


def size(load: Load, machine: Machine, standbys: int) -> Size:
    """Calculates the size of an installation for `load`, with so many standbys of each shard."""
    extra = max(load.value_bytes - USUAL_BYTES, 0) * VALUE_BYTES.value
    table = load.properties * (TABLE_BYTES.value + extra)
    indexes = load.properties * INDEX_BYTES.value
    wal = _wal_a_second(load, table)
    service_cores = _cores(load, READ_SERVICE, SAVE_SERVICE)
    database_cores = _cores(load, READ_DATABASE, SAVE_DATABASE)
    workers = ceil(service_cores)
    connections = ceil(workers * WORKER_CONNECTIONS.value)
    memory = load.hot * (table + indexes) + connections * CONNECTION_BYTES.value
    # Three times the WAL between two checkpoints: max_wal_size is twice that, and a standby may be behind.
    disk = DISK_HEADROOM.value * (table + indexes) + 3 * wal * CHECKPOINT_SECONDS.value
    saves_while_vacuumed = load.saves * (table + indexes) / VACUUM_BYTES.value
    return Size(
        table=table,
        indexes=indexes,
        wal_a_second=wal,
        database_cores=database_cores,
        database_memory=memory,
        database_disk=disk,
        service_cores=service_cores,
        workers=workers,
        connections=connections,
        limits={
            "cores": database_cores / machine.cores,
            "memory": memory / (machine.memory - BASE_BYTES.value),
            "disk": disk / (machine.disk - BASE_DISK.value),
            # The root, because each of n shards has an nth of the store and an nth of the saves.
            "transaction ids": sqrt(saves_while_vacuumed / TRANSACTIONS.value),
        },
        standbys=standbys,
        instances=max(2, ceil(service_cores / machine.cores)),
    )


def _cores(load: Load, read: Figure, save: Figure) -> float:
    used = (load.reads * read.value + load.saves * save.value) / _MICROSECONDS
    return used / BUSY.value


def _wal_a_second(load: Load, table: float) -> float:
    """Returns the bytes of WAL a second: those of the saves, and of the pages that each checkpoint makes new.

    Of `pages` pages in use, random saves change `pages * (1 - exp(-saves / pages))` at least once.
    """
    pages = max(load.hot * table / _PAGE_BYTES, 1)
    saves = load.saves * CHECKPOINT_SECONDS.value
    images = -pages * expm1(-saves / pages) / CHECKPOINT_SECONDS.value
    return load.saves * WAL_BYTES.value + images * IMAGE_BYTES.value
