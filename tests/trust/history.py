"""What clients saw of properties: the material that `checker` judges."""

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

ABSENT: Final = None
"""What a read of a property finds that is not there; written, it is a deletion."""

UNKNOWN: Final = inf
"""When an operation returned of which nobody knows whether it took place, or will yet: never, as far as one knows."""


class Kind(Enum):
    """What an operation does."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Operation:
    """One read or write of one property, as the client saw it who asked for it.

    It took place at some moment between `invoked` and `returned` (seconds of the machine's monotonic clock, which its
    processes share). A read that was not answered told nothing and is no operation; nor is a write that was refused.
    """

    kind: Kind
    register: str
    value: str | None
    invoked: float
    returned: float

    def __str__(self) -> str:
        what = "a deletion" if self.kind is Kind.WRITE and self.value is ABSENT else self.kind.value
        value = "" if what == "a deletion" else f" of {self.value or 'nothing'}"
        return f"{what}{value} [{self.invoked:.6f}, {self.returned:.6f}]"


def read(register: str, value: str | None, invoked: float, returned: float) -> Operation:
    """A read that found `value`."""
    return Operation(Kind.READ, register, value, invoked, returned)


def write(register: str, value: str | None, invoked: float, returned: float) -> Operation:
    """A write of `value`; a deletion if that is ABSENT."""
    return Operation(Kind.WRITE, register, value, invoked, returned)
