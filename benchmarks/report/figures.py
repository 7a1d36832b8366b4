"""Reading the figures of a run: medians, their spread, and ratios within rounds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest of its rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])


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
        """One figure over the rounds, or None where it was not measured."""
        rounds = self._rounds.get((operation, stack, connections))
        return Spread.of(round_[figure] for round_ in rounds) if rounds else None

    def ratio(
        self, above: tuple[str, str], below: tuple[str, str], connections: int
    ) -> Spread | None:
        """Operations per second of one (operation, stack) by those of another, round by round."""
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
