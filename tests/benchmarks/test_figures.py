"""The statistics of the benchmark's report."""

import random
from statistics import median
from typing import Any

import pytest

from benchmarks.extension import EXTENSION_TITLES, LIMITED_TITLES
from benchmarks.report.figures import Interval, Spread, pair_ratio
from benchmarks.report.targets import targets


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


def _pair(operation: str, base: str, *rates: tuple[float, float]) -> dict[str, object]:
    rounds = [
        {
            "operation": {"operations_per_second": mine},
            "base": {"operations_per_second": theirs},
        }
        for mine, theirs in rates
    ]
    return {"operation": operation, "base": base, "against": "service", "rounds": rounds}


def test_the_ratio_of_a_pair_is_the_median_of_the_ratios_within_rounds() -> None:
    pair: Any = _pair("ext_touch", "put_1", (10, 10), (30, 10), (10, 5))
    assert pair_ratio(pair["rounds"]) == Spread(2, 1, 3)


def test_a_batch_counts_as_its_operations() -> None:
    [target] = targets({"extension": {"pairs": [_pair("ext_set_10", "put_1", (30, 100))]}})
    assert target.measured == pytest.approx(3)


@pytest.mark.parametrize(
    "operation", sorted({*EXTENSION_TITLES, *LIMITED_TITLES} - {"ext_cas", "ext_set_new"})
)
def test_each_operation_of_the_extension_has_a_target(operation: str) -> None:
    [target] = targets({"extension": {"pairs": [_pair(operation, "put_1", (100, 100))]}})
    assert target.wanted > 0
