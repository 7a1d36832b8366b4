"""Two plots: the throughput of the service relative to other stacks, and latency against load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.operations import TITLES
from benchmarks.report.figures import Comparison

mpl.rcParams["svg.hashsalt"] = "ccs"  # the same figures yield the same file
_WITHOUT_DATE = {"Date": None}
_OPERATIONS = ("read_all", "read_one", "patch_1", "patch_10", "put_1")
_CONNECTIONS = 16
_COLOURS = {
    "kinto": "#4c72b0", "floor": "#8c8c8c", "pgbench": "#b0b0b0", "webdis": "#dd8452", "etcd": "#55a868",
    "service": "#4c72b0",
}  # fmt: skip


def ratios(figures: Mapping[str, Any], file: Path) -> None:
    """Draws bars: the ratio of operations per second, service to other stack, on a logarithmic axis around 1."""
    comparison = Comparison(figures)
    others = [
        name
        for name in ("kinto", "etcd", "floor", "pgbench", "webdis")
        if name in comparison.stacks
    ]
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(others))
    for index, other in enumerate(others):
        places, heights, errors = [], [], []
        for place, operation in enumerate(_OPERATIONS):
            ratio = comparison.ratio((operation, "service"), (operation, other), _CONNECTIONS)
            if ratio:
                places.append(place + (index - (len(others) - 1) / 2) * width)
                heights.append(ratio.median)
                errors.append((ratio.median - ratio.least, ratio.greatest - ratio.median))
        bars = axes.bar(
            places,
            [height - 1 for height in heights],
            width,
            bottom=1,
            yerr=list(zip(*errors, strict=True)) if errors else None,
            capsize=2,
            label=comparison.stacks[other],
            color=_COLOURS[other],
        )
        axes.bar_label(bars, [f"{height:.2g}×" for height in heights], fontsize=8, padding=2)
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(_OPERATIONS)), [TITLES[operation] for operation in _OPERATIONS])
    axes.set_ylabel("times as many per second")
    axes.set_title("The service against other stacks, 16 connections, one run on one machine")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(file, metadata=_WITHOUT_DATE)


def latency(figures: Mapping[str, Any], file: Path) -> None:
    """Draws lines: p50 and p99 of the service and the floor over requests per second."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, len(figures), squeeze=False)[0]
    for axes, (operation, curves) in zip(panels, figures.items(), strict=True):
        for stack, curve in curves.items():
            rates = [point["per_second"] for point in curve["points"]]
            for percentile, style in (("p50", "-"), ("p99", "--")):
                times = [point[percentile] for point in curve["points"]]
                label = f"{stack}, {percentile}"
                axes.plot(rates, times, style, marker="o", color=_COLOURS[stack], label=label)
        axes.set_title(TITLES[operation])
        axes.set_xlabel("requests per second")
        axes.set_ylabel("ms")
        axes.set_yscale("log")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
    )
    figure.savefig(file, metadata=_WITHOUT_DATE)
