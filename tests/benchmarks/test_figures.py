"""The statistics of the benchmark's report."""

import random
from statistics import median

import pytest

from benchmarks.report.figures import Interval


@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    # From the binomial distribution, as in tables of confidence intervals for a median.
    [(1, 1, 1, 0.0), (3, 1, 3, 0.75), (6, 1, 6, 0.969), (10, 2, 9, 0.979), (20, 6, 15, 0.959)],
)
def test_the_bounds_of_an_interval_are_the_values_at_these_ranks(
    count: int, low: int, high: int, coverage: float
) -> None:
    values = [float(number) for number in range(1, count + 1)]
    random.Random(count).shuffle(values)
    assert Interval.of(values) == Interval(median(values), low, high)
    assert Interval.coverage(count) == pytest.approx(coverage, abs=0.001)


def test_an_interval_contains_the_true_median_with_its_probability() -> None:
    source = random.Random(1)
    intervals = [Interval.of(source.lognormvariate(0, 0.1) for _ in range(10)) for _ in range(2000)]
    share = sum(interval.low <= 1 <= interval.high for interval in intervals) / len(intervals)
    assert share == pytest.approx(Interval.coverage(10), abs=0.02)
