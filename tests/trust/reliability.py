"""Generates the table in docs/reliability.md: a row for each promise, with the measurement of the last full run."""

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
    """The topics of promises, in the order of the table."""

    CRASH = "Crash"
    DATABASE_AWAY = "Database outages"
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
    """One promise, its measurement, and the test (`file.py::test`)."""

    topic: Topic
    promise: str
    measured: str
    test: str


def render(rows: Iterable[Row], remark: str) -> str:
    """Returns the rows as a Markdown table, ordered by topic, under a remark on how the table was generated."""
    topics = list(Topic)
    lines = [
        f"| {row.topic} | {_cell(row.promise)} | {_cell(row.measured)} | `{row.test}` |"
        for row in sorted(rows, key=lambda row: topics.index(row.topic))
    ]
    head = ["| | promise | measured | test |", "|---|---|---|---|"]
    return "\n".join([remark, "", *head, *lines]) + "\n"


def replace_table(document: str, table: str) -> str:
    """Returns `document` with `table` between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("The document has lost the marks around its table.")
    return f"{before}{begin}\n{table}\n{end}{after}"


def rows_of(document: str, *topics: Topic) -> list[Row]:
    """Returns the rows of these topics in the document's table."""
    rows = []
    for line in _table_of(document).splitlines():
        cells = [cell.replace(r"\|", "|") for cell in line.strip("| ").split(" | ")]
        if cells[0] in topics:
            topic, promise, measured, test = cells
            rows.append(Row(Topic(topic), promise, measured, test.strip("`")))
    return rows


def remark_of(document: str) -> str:
    """Returns the remark above the document's table."""
    return _table_of(document).strip().partition("\n")[0]


def _table_of(document: str) -> str:
    return document.partition(_BEGIN)[2].partition(_END)[0]


def remark(seconds: float) -> str:
    """Returns when, how and on which machine the table was generated."""
    day = datetime.now(UTC).date().isoformat()
    return (
        f"Written on {day} by `{COMMAND}` in {seconds / 60:.0f} minutes, on {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}; everything ran on one machine."
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
