"""`ccs size`: calculates the size of an installation. It needs no database."""

from dataclasses import asdict
from math import ceil, isfinite

import click

from ccs_server.cli.common import as_json_option, say
from ccs_server.domain.sizing import GB, USUAL_BYTES, Load, Machine, Size
from ccs_server.domain.sizing import size as calculate

_LARGEST = 1e15
_LARGEST_STANDBYS = 10
_DERIVED = (
    "wal_a_day", "max_wal_size", "scarcest", "share", "shards", "shard_memory", "shard_disk", "instance_memory",
    "machines",
)  # fmt: skip


class _Number(click.ParamType[float]):
    """The type of an option that is a number, such as 20000 or 1e9."""

    name = "number"

    def __init__(self, least: float = 0, most: float = _LARGEST) -> None:
        self._least, self._most = least, most

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parses the value; the command fails if it is not valid."""
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not (isfinite(number) and self._least <= number <= self._most):
            self.fail(
                f"It must be a number from {self._least:g} to {self._most:g}, such as 20000 or 2e4, not {value!r}.",
                param,
                ctx,
            )
        return number


@click.command
@click.option("--properties", type=_Number(1), required=True, help="Live properties.")
@click.option("--saves", type=_Number(), required=True, help="Saves of a property a second.")
@click.option("--reads", type=_Number(), required=True, help="Reads of a session a second.")
@click.option(
    "--bytes",
    "value_bytes",
    type=_Number(1, 1e6),
    default=USUAL_BYTES,
    show_default=True,
    help="The mean size of a property's name and value.",
)
@click.option(
    "--hot",
    type=_Number(0, 1),
    default=Load.hot,
    show_default=True,
    help="The share of the store that is in use within a quarter of an hour.",
)
@click.option(
    "--standbys",
    type=click.IntRange(0, _LARGEST_STANDBYS),
    default=2,
    show_default=True,
    help="Standbys of each database. With 2, of which one must confirm, any machine may fail.",
)
@click.option(
    "--cores",
    type=_Number(1),
    default=Machine.cores,
    show_default=True,
    help="Cores of the largest machine.",
)
@click.option(
    "--memory",
    type=_Number(4),
    default=Machine.memory / GB,
    show_default=True,
    help="Its memory, in GB.",
)
@click.option(
    "--disk",
    type=_Number(20),
    default=Machine.disk / GB,
    show_default=True,
    help="Its disk, in GB.",
)
@as_json_option
def size(  # noqa: PLR0913, PLR0917 - options
    properties: float,
    saves: float,
    reads: float,
    value_bytes: float,
    hot: float,
    standbys: int,
    cores: float,
    memory: float,
    disk: float,
    *,
    as_json: bool,
) -> None:
    """Calculate the machines that an installation needs, from measured figures.

    Rates are those of the busiest time. docs/operate/sizing.md explains the calculation and its figures.
    """
    load = Load(properties=properties, saves=saves, reads=reads, value_bytes=value_bytes, hot=hot)
    machine = Machine(cores=cores, memory=memory * GB, disk=disk * GB)
    found = calculate(load, machine, standbys)
    derived = {name: getattr(found, name) for name in _DERIVED}
    say(asdict(found) | derived, _as_text(load, machine, found), as_json=as_json)


def _as_text(load: Load, machine: Machine, found: Size) -> str:
    shards, instances = found.shards, found.instances
    shard = f"1 primary and {_count(found.standbys, 'standby', 'standbys')}"
    database = _machine(
        shards * (1 + found.standbys),
        found.database_cores / shards,
        found.shard_memory,
        found.shard_disk,
    )
    service = _machine(instances, found.service_cores / instances, found.instance_memory)
    rows = {
        "load": (
            f"{load.properties:,.0f} properties, {load.saves:,.0f} saves and"
            f" {load.reads:,.0f} reads a second"
        ),
        "store": (
            f"{_bytes(found.table + found.indexes)}: table {_bytes(found.table)},"
            f" indexes {_bytes(found.indexes)}"
        ),
        "WAL": f"{_bytes(found.wal_a_day)} a day; max_wal_size {_bytes(found.max_wal_size)}",
        "database": f"{shard if shards == 1 else f'{shards:,} shards of {shard}'}: {database}",
        "service": (
            f"{_count(instances, 'instance', 'instances')}: {service};"
            f" {_count(found.connections, 'connection', 'connections')} to the database"
        ),
        "machines": f"{found.machines:,}",
        "one machine": _one_machine(machine, found),
    }
    together = found.database_cores + found.service_cores
    if shards == 1 and together <= machine.cores:
        rows["together"] = (
            f"service and database fit on one machine with {_count(ceil(together), 'core', 'cores')}"
        )
    return "\n".join(f"{name:<13}{text}" for name, text in rows.items())


def _machine(count: int, cores: float, memory: float, disk: float | None = None) -> str:
    parts = [_count(ceil(cores), "core", "cores"), f"{_bytes(memory)} memory"]
    if disk is not None:
        parts.append(f"{_bytes(disk)} disk")
    return f"{_count(count, 'machine', 'machines')} with {', '.join(parts)}"


def _one_machine(machine: Machine, found: Size) -> str:
    """Says at which load one machine is no longer enough for the database, and why."""
    times = 1 / found.share
    return (
        f"the database outgrows {machine.cores:g} cores, {_bytes(machine.memory)} memory and"
        f" {_bytes(machine.disk)} disk at {times:,.{0 if times >= 10 else 1}f} times this load,"  # noqa: PLR2004
        f" by its {found.scarcest}"
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _bytes(size: float) -> str:
    """Formats a size, rounded up: too much is safer than too little."""
    for unit, power in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if size >= power:
            return f"{ceil(10 * size / power) / 10:,g} {unit}"
    return f"{ceil(size / 1e6):,} MB"
