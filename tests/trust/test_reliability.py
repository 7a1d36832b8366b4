"""The generator of the table."""

import pytest

from tests.trust.reliability import (
    DOCUMENT,
    Row,
    Topic,
    remark_of,
    render,
    replace_table,
    rows_of,
)


def test_rows_are_ordered_by_topic() -> None:
    rows = [
        Row(Topic.LIMITS, "a|b", "1", "test_a.py::test_a"),
        Row(Topic.CRASH, "c", "2", "test_b.py::test_b"),
        Row(Topic.CRASH, "d", "3", "test_b.py::test_c"),
    ]
    table = render(rows, "How.")
    assert table.splitlines()[0] == "How."
    assert table.splitlines()[4:] == [
        "| Crash | c | 2 | `test_b.py::test_b` |",
        "| Crash | d | 3 | `test_b.py::test_c` |",
        r"| Limits | a\|b | 1 | `test_a.py::test_a` |",
    ]


def test_replacing_the_table_keeps_the_prose() -> None:
    document = DOCUMENT.read_text()
    once = replace_table(document, "| old |\n")
    twice = replace_table(once, "| new |\n")
    assert "| old |" not in twice
    assert twice.replace("| new |", "| old |") == once
    assert once.split("\n<!--")[0] == document.split("\n<!--")[0]


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        replace_table("nothing here", "table\n")


def test_rows_are_read_back_as_written() -> None:
    rows = [
        Row(Topic.CRASH, "a|b || c", "1 | 2", "test_a.py::test_a[x]"),
        Row(Topic.SOAK, "d", "3", "test_soak.py::test_b"),
    ]
    document = replace_table(DOCUMENT.read_text(), render(rows, "How | it was made."))
    assert rows_of(document, *Topic) == rows
    assert rows_of(document, Topic.SOAK) == rows[1:]
    assert remark_of(document) == "How | it was made."
