"""The table in docs/reliability.md: a row for each promise, with what the last full run measured."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
COMMAND = "nox -s trust"

_BEGIN = f"<!-- written by `{COMMAND}`: do not edit below -->\n"
_END = "<!-- written by hand again -->\n"


class Topic(StrEnum):
    """What a promise is about, in the order of the table."""

    CRASH = "Crash"
    DATABASE_AWAY = "The database goes away"
    RESTORE = "Backup and restore"
    SHUTDOWN = "Shutdown"
    CONCURRENCY = "Concurrency"
    CLOCK = "Clock and time to live"
    ISOLATION = "Isolation"
    FUZZ = "Fuzz"
    OVERLOAD = "Overload"
    SECRETS = "Secrets"
    SUPPLY_CHAIN = "Supply chain"
    LIMITS = "Limits"
    SOAK = "Soak"


@dataclass(frozen=True)
class Row:
    """One promise, what was measured in its support, and the test that did so (`file.py::test`)."""

    topic: Topic
    promise: str
    measured: str
    test: str


def render(rows: Iterable[Row], remark: str) -> str:
    """The rows as a table in Markdown, by topic and otherwise in the order given; `remark` says how it was made."""
    topics = list(Topic)
    lines = [
        f"| {row.topic} | {_cell(row.promise)} | {_cell(row.measured)} | `{row.test}` |"
        for row in sorted(rows, key=lambda row: topics.index(row.topic))
    ]
    head = ["| | promise | measured | test |", "|---|---|---|---|"]
    return "\n".join([remark, "", *head, *lines]) + "\n"


def replace_table(document: str, table: str) -> str:
    """`document` with `table` between its two marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("The document has lost the marks between which the table stands.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def rows_of(document: str, *topics: Topic) -> list[Row]:
    """The rows of these topics in the document's table."""
    rows = []
    for line in _table_of(document).splitlines():
        cells = [cell.replace(r"\|", "|") for cell in line.strip("| ").split(" | ")]
        if cells[0] in topics:
            topic, promise, measured, test = cells
            rows.append(Row(Topic(topic), promise, measured, test.strip("`")))
    return rows


def remark_of(document: str) -> str:
    """What stands above the document's table, as `remark` made it."""
    return _table_of(document).strip().partition("\n")[0]


def _table_of(document: str) -> str:
    return document.partition(_BEGIN)[2].partition(_END)[0]


def remark(seconds: float) -> str:
    """When, how and on what the table was made."""
    day = datetime.now(UTC).date().isoformat()
    return (
        f"Last written on {day} by `{COMMAND}` in {seconds / 60:.0f} minutes, on {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}; everything ran on this one machine."
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
