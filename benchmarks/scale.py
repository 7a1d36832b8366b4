"""The sizes of a run: the full one, `--quick`, and `--smoke`."""

from dataclasses import dataclass

from benchmarks.extension import EXTENSION_TITLES, LIMITED_TITLES
from benchmarks.operations import TITLES


@dataclass(frozen=True)
class Scale:
    """The sizes and durations of a run."""

    name: str
    parts: tuple[str, ...]
    seconds: float
    """Duration of the load for one measurement."""
    rounds: int
    connections: tuple[int, ...]
    operations: tuple[str, ...]
    """The operations under load. At every scale, all operations run once and are checked."""
    pairs: tuple[str, ...]
    """The operations of the part `extension` under load."""
    load_fractions: tuple[float, ...]
    """The loads at which latency is measured, as fractions of the highest throughput."""
    sessions: int
    """Number of sessions of 10 properties in each stack of the comparison."""
    kinto_sessions: int
    """Number of sessions in Kinto, which takes long to fill."""
    peers: bool
    """Whether Kinto, webdis and etcd are included."""
    grown_sessions: int
    """Number of sessions of 10 properties in the large store of the part `growth`."""
    huge_sessions: int
    """Number of sessions of 10 properties in the large store of the part `huge`, which runs only on demand."""
    million: int
    """Number of rows in the parts that use a million rows at full scale."""


_PAIRS = (*EXTENSION_TITLES, *LIMITED_TITLES)

FULL = Scale(
    name="full",
    parts=(
        "comparison",
        "latency",
        "growth",
        "sessions",
        "find",
        "flood",
        "extension",
        "tracing",
        "transfer",
        "streams",
        "deletion",
        "purge",
        "erasure",
        "index",
        "limits",
        "startup",
    ),
    seconds=2,
    # Many short rounds: a stall of the disk spoils one or two of them, and the median ignores those.
    rounds=5,
    connections=(16, 64),
    operations=tuple(TITLES),
    pairs=_PAIRS,
    load_fractions=(0.1, 0.25, 0.5, 0.75, 0.9),
    sessions=5_000,
    kinto_sessions=1_000,
    peers=True,
    grown_sessions=500_000,
    huge_sessions=5_000_000,
    million=1_000_000,
)

QUICK = Scale(
    name="quick",
    parts=("comparison", "latency", "limits", "startup"),
    seconds=1,
    rounds=2,
    connections=(16,),
    operations=tuple(TITLES),
    pairs=_PAIRS,
    load_fractions=(0.5,),
    sessions=1_000,
    kinto_sessions=200,
    peers=True,
    grown_sessions=20_000,
    huge_sessions=200_000,
    million=50_000,
)

SMOKE = Scale(
    name="smoke",
    parts=("comparison", "extension"),
    seconds=0.2,
    rounds=1,
    connections=(4,),
    operations=("patch_10", "conversation"),
    pairs=("ext_set_full",),
    load_fractions=(0.5,),
    sessions=100,
    kinto_sessions=0,
    peers=False,
    grown_sessions=1_000,
    huge_sessions=10_000,
    million=1_000,
)
