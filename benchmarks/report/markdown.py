"""The figures of a run as a page of Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.operations import TITLES
from benchmarks.report.figures import Comparison
from benchmarks.report.targets import targets


def page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    parts = {name: part["figures"] for name, part in results["parts"].items()}
    yield "# Benchmark"
    yield ""
    yield (
        "Made by `nox -s bench`; how it measures and how to repeat it:"
        " [benchmarks/README.md](../../benchmarks/README.md). All figures are in `results.json`."
    )
    yield ""
    yield f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
    yield f"{machine['system']}, Python {machine['python']}."
    yield (
        "Versions: "
        + ", ".join(f"{name} {text}" for name, text in results["versions"].items())
        + "."
    )
    settings = results["postgresql"]
    yield "PostgreSQL: " + ", ".join(f"{name} {text}" for name, text in settings.items()) + "."
    yield ""
    yield from _header("part", "started", "commit", "load average before", "scale")
    for name, part in results["parts"].items():
        scale = part["scale"]
        size = f"{scale['name']}: {scale['rounds']} rounds of {scale['seconds']:g} s"
        yield _row(name, part["started"], part["commit"], str(part["load_before"]), size)
    for stack, lack in results["missing"].items():
        yield ""
        yield f"**Missing in this run: {stack}** ({lack})."
    yield ""
    yield from _targets(parts)
    if "comparison" in parts:
        yield from _comparison(Comparison(parts["comparison"]))
    if "latency" in parts:
        yield from _latency(parts["latency"])


def _targets(parts: Mapping[str, Any]) -> Iterator[str]:
    yield "## Targets"
    yield ""
    yield from _header("target", "wanted", "measured", "")
    for target in targets(parts):
        sign = "≥" if target.at_least else "≤"
        yield _row(
            target.what,
            f"{sign} {target.wanted:g}{target.unit}",
            f"{target.measured:.3g}{target.unit}",
            "reached" if target.reached else "**not reached**",
        )
    yield ""


def _comparison(comparison: Comparison) -> Iterator[str]:
    stacks = comparison.stacks
    yield "## Every operation on every stack"
    yield ""
    yield "Medians of the rounds, least and greatest in brackets; CPU is per operation."
    for stack, times in comparison.stalls.items():
        yield f"{times} measurements of {stack} were made again: no answer had come in all of one."
    yield ""
    for name, title in stacks.items():
        yield f"- **{name}**: {title}"
    yield ""
    yield "![Ratios](ratios.svg)"
    yield ""
    for connections in comparison.connections():
        yield f"### {connections} connections"
        yield ""
        yield from _header(
            "operation", "stack", "per second", "p50 ms", "p99 ms", "CPU µs: stack + database"
        )
        for operation in comparison.operations():
            yield from _operation(comparison, operation, connections)
        yield ""
    yield "### Memory after the run"
    yield ""
    yield from _header("stack", "all processes, MB", "each below the first, MB")
    for stack, memory in comparison.memory.items():
        workers = ", ".join(f"{each / 1e6:.0f}" for each in memory["workers_bytes"])
        yield _row(stack, f"{memory['total_bytes'] / 1e6:.0f}", workers)
    yield ""


def _operation(comparison: Comparison, operation: str, connections: int) -> Iterator[str]:
    for stack in comparison.stacks:
        rate = comparison.spread(operation, stack, connections, "operations_per_second")
        if rate is None:
            continue
        figures = {
            name: spread.median
            for name in ("p50", "p99", "cpu_stack_us", "cpu_database_us", "conflicts")
            if (spread := comparison.spread(operation, stack, connections, name))
        }
        refused = (
            f"; {figures['conflicts']:.0f} refused, 'please retry'" if figures["conflicts"] else ""
        )
        yield _row(
            TITLES[operation],
            stack,
            f"{rate.median:,.0f} ({rate.least:,.0f}–{rate.greatest:,.0f}){refused}",
            f"{figures['p50']:.2f}",
            f"{figures['p99']:.2f}",
            f"{figures['cpu_stack_us']:,.0f} + {figures['cpu_database_us']:,.0f}",
        )


def _latency(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "## Latency against load"
    yield ""
    yield "64 users who pause at random; loads are parts of the highest throughput of each stack."
    yield ""
    yield "![Latency](latency.svg)"
    yield ""
    yield from _header("operation", "stack", "load", "per second", "p50 ms", "p99 ms")
    for operation, curves in figures.items():
        for stack, curve in curves.items():
            for point in curve["points"]:
                yield _row(
                    TITLES[operation],
                    stack,
                    f"{point['fraction']:.0%}",
                    f"{point['per_second']:,.0f}",
                    f"{point['p50']:.2f}",
                    f"{point['p99']:.2f}",
                )
    yield ""


def _header(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
