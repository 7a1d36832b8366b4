"""`python -m benchmarks.report.comparison`: writes the measured table of docs/comparison.md from the results."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.extension import EXTENSION_TITLES
from benchmarks.operations import TITLES
from benchmarks.report.figures import Comparison, pair_ratio

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "comparison.md"
RESULTS = _ROOT / "docs" / "benchmarks" / "results.json"
BEGIN, END = "<!-- by benchmarks/report/comparison.py -->\n\n", "\n<!-- written by hand -->"

_CONNECTIONS = 16
_PEERS = {"kinto": "Kinto", "webdis": "Redis, by webdis", "etcd": "etcd"}
_OPERATIONS = ("read_all", "read_one", "patch_1", "patch_10", "conversation", "list_sessions")
_MEGABYTE = 1_000_000
_NONE = "–"


def table(parts: Mapping[str, Any]) -> str:
    """Returns the table: operations a second, and how many times those of this service they are."""
    titles = ("operations a second", "this service", *_PEERS.values())
    rows = [titles, ("---",) * len(titles), *_rows(parts)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(parts: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    comparison = Comparison(parts["comparison"]["figures"])
    for operation in _OPERATIONS:
        rates = {
            stack: comparison.spread(operation, stack, _CONNECTIONS, "operations_per_second")
            for stack in ("service", *_PEERS)
        }
        cells = []
        for stack in _PEERS:
            ratio = comparison.ratio((operation, stack), (operation, "service"), _CONNECTIONS)
            rate = rates[stack]
            cells.append(_cell(rate.median, ratio.median) if rate and ratio else _NONE)
        own = rates["service"]
        assert own
        yield TITLES[operation], f"{own.median:,.0f}", *cells
    yield from _pairs(parts["extension"]["figures"]["pairs"])
    memory = {
        stack: f"{used['total_bytes'] / _MEGABYTE:,.0f} MB"
        for stack, used in comparison.memory.items()
    }
    yield (
        "memory afterwards, without PostgreSQL",
        memory["service"],
        *(memory[stack] for stack in _PEERS),
    )


def _pairs(pairs: list[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """What the part `extension` measures in turn with a peer."""
    for pair in pairs:
        if pair["against"] in _PEERS:
            own, other = (
                median(round_[side]["operations_per_second"] for round_ in pair["rounds"])
                for side in ("operation", "base")
            )
            cell = _cell(other, 1 / pair_ratio(pair["rounds"]).median)
            cells = (cell if stack == pair["against"] else _NONE for stack in _PEERS)
            yield EXTENSION_TITLES[pair["operation"]], f"{own:,.0f}", *cells


def _cell(rate: float, ratio: float) -> str:
    return f"{rate:,.0f} ({ratio:.2g}×)"


def main() -> None:
    """Replaces the table of the page."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{PAGE} does not contain {BEGIN!r}"
    assert end, f"{PAGE} does not contain {END!r}"
    parts = json.loads(RESULTS.read_text())["parts"]
    PAGE.write_text(f"{before}{begin}{table(parts)}{end}{after}")


if __name__ == "__main__":
    main()
