"""`python -m benchmarks.report.sizing`: draws docs/operate/sizing.svg, what `ccs size` computes for three stores."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from ccs_server.domain.sizing import GB, Load, Machine, Size, size

mpl.rcParams["svg.hashsalt"] = "ccs"  # the same figures yield the same file
_FILE = Path(__file__).parents[2] / "docs" / "operate" / "sizing.svg"
_STORES = {"1 million": 1e6, "100 million": 1e8, "10 billion": 1e10}
_COLOURS = ("#55a868", "#4c72b0", "#dd8452")
_READS_A_SAVE = 5
_SAVES = [10 ** (exponent / 20) for exponent in range(20, 101)]
_PANELS: dict[str, Callable[[Size], float]] = {
    "share of the largest machine that the database needs": lambda found: found.share,
    "memory of the database, of all shards, in GB": lambda found: (
        found.shards * found.shard_memory / GB
    ),
    "disk of the database, of all shards, in GB": lambda found: (
        found.shards * found.shard_disk / GB
    ),
    "WAL a day, in GB": lambda found: found.wal_a_day / GB,
}


def main() -> None:
    """Draws a panel for each figure, with a line for each store."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = list(figure.subplots(2, 2).flat)
    for axes, (title, value) in zip(panels, _PANELS.items(), strict=True):
        for (name, properties), colour in zip(_STORES.items(), _COLOURS, strict=True):
            sizes = [
                size(
                    Load(properties=properties, saves=saves, reads=_READS_A_SAVE * saves),
                    Machine(),
                    standbys=0,
                )
                for saves in _SAVES
            ]
            axes.plot(_SAVES, [value(found) for found in sizes], color=colour, label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"saves per second, with {_READS_A_SAVE} times as many reads", fontsize=8)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.grid(visible=True, alpha=0.3)
    panels[0].axhline(1, color="black", linewidth=0.8)
    panels[0].annotate("above: several machines", (10, 1.1), fontsize=8)
    handles, labels = axes.get_legend_handles_labels()
    titles = [f"{label} properties" for label in labels]
    figure.legend(handles, titles, loc="outside lower center", ncols=3)
    figure.savefig(_FILE, metadata={"Date": None})


if __name__ == "__main__":
    main()
