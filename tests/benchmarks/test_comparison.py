"""The measured figures in docs/comparison.md are those of the results."""

import json

from benchmarks.report.comparison import BEGIN, END, PAGE, RESULTS, table


def test_the_table_of_the_page_is_that_of_the_results() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown == table(json.loads(RESULTS.read_text())["parts"]), (
        "Run `python -m benchmarks.report.comparison`, and read what the page says about the figures."
    )
