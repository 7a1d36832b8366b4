"""The short and the full form of these tests, and the rows that they record for docs/reliability.md.

`nox -s tests` runs the short form, which takes seconds. `nox -s trust` runs the full form (`--full`), and writes the
table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar, cast

import pytest

from tests.trust.reliability import (
    DOCUMENT,
    Row,
    Topic,
    remark,
    remark_of,
    render,
    replace_table,
    rows_of,
)

T = TypeVar("T")
_PROPERTY = "reliability"

Record = Callable[[Topic, str, str], None]
"""Records a promise and the measurement of the test: `record(Topic.CRASH, promise, measured)`."""


@dataclass(frozen=True)
class Form:
    """The form in which the tests run. `form(short=2, full=50)` returns the value for it."""

    is_full: bool

    def __call__(self, *, short: T, full: T) -> T:
        return full if self.is_full else short


@pytest.fixture(scope="session")
def form(pytestconfig: pytest.Config) -> Form:
    """The form in which the tests run."""
    return Form(pytestconfig.getoption("--full", default=False))


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Returns a function that records a row for the table. The row counts if the test passes."""

    def record(topic: Topic, promise: str, measured: str) -> None:
        # pytest sends the properties of a test with its report, even between processes.
        request.node.user_properties.append((_PROPERTY, [topic.value, promise, measured]))

    return record


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("trust")
    group.addoption("--full", action="store_true", help="run the full form of tests/trust")
    group.addoption(
        "--write-table", action="store_true", help=f"write {DOCUMENT.name} if every test passes"
    )
    group.addoption(
        "--update-table",
        action="store_true",
        help=f"replace only the rows of these tests in {DOCUMENT.name} if every one passes",
    )
    group.addoption(
        "--soak", action="store_true", help="run test_soak.py, and write its row if it passes"
    )
    group.addoption("--minutes", type=float, default=60, help="how long the soak lasts")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    if config.getoption("--soak", default=False) or config.getoption(
        "--update-table", default=False
    ):
        config.pluginmanager.register(_RowWriter())
    elif config.getoption("--write-table", default=False):
        config.pluginmanager.register(_TableWriter())


class _Writer:
    """Collects the rows of a run."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            test = report.nodeid.rpartition("/")[2]
            for name, value in report.user_properties:
                if name == _PROPERTY:
                    topic, promise, measured = cast("list[str]", value)
                    self._rows.append(Row(Topic(topic), promise, measured, test))


class _TableWriter(_Writer):
    """Writes the whole table, except the row of the soak test, which is not part of a full run."""

    def __init__(self) -> None:
        super().__init__()
        self._began = monotonic()

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            document = DOCUMENT.read_text()
            rows = [*self._rows, *rows_of(document, Topic.SOAK)]
            table = render(rows, remark(monotonic() - self._began))
            DOCUMENT.write_text(replace_table(document, table))


class _RowWriter(_Writer):
    """Writes the rows of the tests that were run, and keeps the others."""

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self._rows:
            document = DOCUMENT.read_text()
            tests = {row.test for row in self._rows}
            rows = [row for row in rows_of(document, *Topic) if row.test not in tests]
            rows += self._rows
            table = render(rows, remark_of(document))
            DOCUMENT.write_text(replace_table(document, table))
