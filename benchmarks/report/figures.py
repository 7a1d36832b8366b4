"""Statistics of the figures of a run: medians, their spread, and ratios within rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Any, ClassVar


@dataclass(frozen=True)
class Spread:
    """The median, minimum and maximum of some rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])


@dataclass(frozen=True)
class Interval:
    """A median, and an interval that contains the true median with the probability `coverage`."""

    WANTED: ClassVar = 0.95

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Interval":
        ordered = sorted(values)
        left_out = cls._left_out(len(ordered))
        return cls(median(ordered), ordered[left_out], ordered[-1 - left_out])

    @classmethod
    def coverage(cls, count: int) -> float:
        """Returns the probability for `count` values. It is at least `WANTED` for 6 values or more."""
        return 1 - 2 * cls._tail(count, cls._left_out(count))

    @classmethod
    def _left_out(cls, count: int) -> int:
        """Returns how many values are outside on each side. Each is above the true median with probability 1/2."""
        left_out = 0
        while cls._tail(count, left_out + 1) <= (1 - cls.WANTED) / 2:
            left_out += 1
        return left_out

    @staticmethod
    def _tail(count: int, left_out: int) -> float:
        """Returns the probability that at most `left_out` values are above the true median."""
        return sum(comb(count, above) for above in range(left_out + 1)) / float(2**count)


def pair_ratio(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> Spread:
    """Returns the ratios of operations per second in the rounds of a pair of the part `extension`."""
    name = "operations_per_second"
    return Spread.of(round_["operation"][name] / round_["base"][name] for round_ in rounds)


class Comparison:
    """The figures of the part `comparison`."""

    def __init__(self, figures: Mapping[str, Any]) -> None:
        self.stacks: Mapping[str, str] = figures["stacks"]
        self.memory: Mapping[str, Any] = figures["memory"]
        self.stalls: Mapping[str, int] = figures["stalls"]
        self._rounds: dict[tuple[str, str, int], list[dict[str, float]]] = {
            (sample["operation"], sample["stack"], sample["connections"]): sample["rounds"]
            for sample in figures["samples"]
        }

    def connections(self) -> list[int]:
        return sorted({connections for _, _, connections in self._rounds})

    def operations(self) -> list[str]:
        return list(dict.fromkeys(operation for operation, _, _ in self._rounds))

    def spread(self, operation: str, stack: str, connections: int, figure: str) -> Spread | None:
        """Returns one figure over the rounds, or None if it was not measured."""
        rounds = self._rounds.get((operation, stack, connections))
        return Spread.of(round_[figure] for round_ in rounds) if rounds else None

    def ratio(
        self, above: tuple[str, str], below: tuple[str, str], connections: int
    ) -> Spread | None:
        """Returns the ratios of operations per second of two (operation, stack) pairs, round by round."""
        rates = [
            [
                round_["operations_per_second"]
                for round_ in self._rounds.get((*place, connections), [])
            ]
            for place in (above, below)
        ]
        if not all(rates):
            return None
        return Spread.of(upper / lower for upper, lower in zip(*rates, strict=True))
