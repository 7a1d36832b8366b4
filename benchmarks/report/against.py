"""The result of comparing two versions, as Markdown that is also readable on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import median
from typing import Any

from benchmarks.extension import EXTENSION_TITLES
from benchmarks.operations import TITLES
from benchmarks.report.figures import Interval

Round = Mapping[str, Sequence[Mapping[str, float]]]

_ALL_TITLES = TITLES | EXTENSION_TITLES
_RATE, _SERVICE, _DATABASE = "operations_per_second", "cpu_service_us", "cpu_database_us"


def progress(figures: Mapping[str, Round]) -> str:
    """Returns the ratios of one round, on one line."""
    return ", ".join(f"{name} {_ratio(round_, _RATE):.3f}" for name, round_ in figures.items())


def page(results: Mapping[str, Any]) -> str:
    """Returns the whole page."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    machine, rounds = results["machine"], results["rounds"]
    yield f"# {results['now']} (now) against {results['before']} (before)"
    yield ""
    yield f"{results['started']}, {machine['cpu']}, {machine['cores']} cores, Python {machine['python']};"
    yield (
        f"{len(rounds)} rounds of 4 × {results['seconds']:g} s for each operation,"
        f" {results['connections']} connections; load average {results['load_before']} before,"
        f" {results['load_after']} after."
    )
    yield (
        "Ratios are now / before: the median of the rounds, and an interval that contains the true median with"
        f" {100 * Interval.coverage(len(rounds)):.0f} % probability."
    )
    yield ""
    yield from _table(
        ["operation", "before /s", "now /s", "ratio", "interval", "verdict", "CPU µs before", "now", "ratio",
         "interval", "PostgreSQL's CPU, ratio", "interval"],
        [_row(name, [round_[name] for round_ in rounds]) for name in (rounds[0] if rounds else {})],
    )  # fmt: skip
    for name, reason in results["not_compared"].items():
        yield ""
        yield f"Not compared, because it fails in {results['before']}: {_ALL_TITLES[name]} ({reason})."
    yield ""
    before, now = (results["memory"][version] / 1e6 for version in ("before", "now"))
    yield f"Memory of the largest worker: {before:.1f} MB before, {now:.1f} MB now ({now - before:+.1f})."


def _row(name: str, rounds: Sequence[Round]) -> list[str]:
    rate = Interval.of(_ratio(round_, _RATE) for round_ in rounds)
    decided = Interval.coverage(len(rounds)) >= Interval.WANTED
    verdict = "slower" if rate.high < 1 else "faster" if rate.low > 1 else ""
    return [
        _ALL_TITLES[name],
        f"{_median(rounds, 'before', _RATE):,.0f}",
        f"{_median(rounds, 'now', _RATE):,.0f}",
        *_interval(rate),
        verdict if decided else "too few rounds",
        f"{_median(rounds, 'before', _SERVICE):,.0f}",
        f"{_median(rounds, 'now', _SERVICE):,.0f}",
        *_interval(Interval.of(_ratio(round_, _SERVICE) for round_ in rounds)),
        *_interval(Interval.of(_ratio(round_, _DATABASE) for round_ in rounds)),
    ]


def _interval(interval: Interval) -> list[str]:
    return [f"{interval.median:.3f}", f"{interval.low:.3f} – {interval.high:.3f}"]


def _ratio(round_: Round, figure: str) -> float:
    """Returns the ratio now / before of a round: the geometric mean of its pairs, which cancels a steady drift."""
    pairs = zip(round_["now"], round_["before"], strict=True)
    product = 1.0
    for now, before in pairs:
        product *= now[figure] / before[figure]
    return sqrt(product)


def _median(rounds: Sequence[Round], version: str, figure: str) -> float:
    return median(sample[figure] for round_ in rounds for sample in round_[version])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Returns a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    numbers = [index > 0 for index in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, numbers, strict=True)
        )
        return "| " + " | ".join(aligned) + " |"

    yield line(header)
    rules = (
        "-" * (width - 1) + (":" if number else "-")
        for width, number in zip(widths, numbers, strict=True)
    )
    yield "| " + " | ".join(rules) + " |"
    yield from map(line, rows)
