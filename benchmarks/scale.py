"""How large a run is: the full one, `--quick`, and `--smoke`."""

from dataclasses import dataclass

from benchmarks.operations import TITLES


@dataclass(frozen=True)
class Scale:
    """Sizes and lengths of the parts of a run."""

    name: str
    parts: tuple[str, ...]
    seconds: float
    """Of load for one figure."""
    rounds: int
    connections: tuple[int, ...]
    operations: tuple[str, ...]
    """Those under load; every one is done and checked once, whatever the scale."""
    load_fractions: tuple[float, ...]
    """Loads at which latency is measured, as parts of the highest throughput."""
    sessions: int
    """Sessions of 10 properties in each stack of the comparison."""
    kinto_sessions: int
    """The same in Kinto, which fills slowly."""
    peers: bool
    """Whether Kinto, webdis and etcd take part."""
    grown_sessions: int
    """Sessions of 10 properties in the large store of the part `growth`."""
    million: int
    """Rows of the parts that the issue sets a million for."""


FULL = Scale(
    name="full",
    parts=("comparison", "latency", "growth", "sessions", "deletion", "purge", "limits", "startup"),
    seconds=2,
    # Many and short: a stall of the disk spoils a round or two, and the median is of the others.
    rounds=5,
    connections=(16, 64),
    operations=tuple(TITLES),
    load_fractions=(0.1, 0.25, 0.5, 0.75, 0.9),
    sessions=5_000,
    kinto_sessions=1_000,
    peers=True,
    grown_sessions=500_000,
    million=1_000_000,
)

QUICK = Scale(
    name="quick",
    parts=("comparison", "latency", "limits", "startup"),
    seconds=1,
    rounds=2,
    connections=(16,),
    operations=tuple(TITLES),
    load_fractions=(0.5,),
    sessions=1_000,
    kinto_sessions=200,
    peers=True,
    grown_sessions=20_000,
    million=50_000,
)

SMOKE = Scale(
    name="smoke",
    parts=("comparison",),
    seconds=0.2,
    rounds=1,
    connections=(4,),
    operations=("patch_10", "conversation"),
    load_fractions=(0.5,),
    sessions=100,
    kinto_sessions=0,
    peers=False,
    grown_sessions=1_000,
    million=1_000,
)
