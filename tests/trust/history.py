"""The operations that clients observed, which `checker` checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

ABSENT: Final = None
"""The value of a property that does not exist. Writing it is a deletion."""

UNKNOWN: Final = inf
"""The return time of an operation with an unknown outcome, which may still take place at any time."""


class Kind(Enum):
    """The kind of an operation."""

    READ = "read"
    WRITE = "write"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class Operation:
    """One read, write or swap of one property, as its client observed it.

    A swap writes `value` where `expected` is. One that is refused is a read of what it is refused for.

    It took place at some moment between `invoked` and `returned` (seconds of the machine's monotonic clock, which all
    processes share). Reads without a response and refused writes are not operations.
    """

    kind: Kind
    register: str
    value: str | None
    invoked: float
    returned: float
    expected: str | None = None

    def __str__(self) -> str:
        what = "a deletion" if self.kind is Kind.WRITE and self.value is ABSENT else self.kind.value
        value = "" if what == "a deletion" else f" of {self.value or 'nothing'}"
        return f"{what}{value} [{self.invoked:.6f}, {self.returned:.6f}]"


def read(register: str, value: str | None, invoked: float, returned: float) -> Operation:
    """Returns a read of `value`."""
    return Operation(Kind.READ, register, value, invoked, returned)


def swap(
    register: str, expected: str | None, value: str, invoked: float, returned: float
) -> Operation:
    """Returns a write of `value` in place of `expected`."""
    return Operation(Kind.SWAP, register, value, invoked, returned, expected)


def write(register: str, value: str | None, invoked: float, returned: float) -> Operation:
    """Returns a write of `value`, which is a deletion if `value` is ABSENT."""
    return Operation(Kind.WRITE, register, value, invoked, returned)


NEVER: Final = None
"""The expiry of a property that never expires."""

Expiry = str | None
"""The expiry of a property, named after the save that set it, or NEVER."""

State = frozenset[tuple[str, str, Expiry]]
"""The properties of a document, each with name, value and expiry."""


@dataclass(frozen=True, slots=True)
class DocumentOperation:
    """One operation on a whole document, between `invoked` and `returned` (as in Operation)."""

    invoked: float
    returned: float

    def after(self, state: State) -> State | None:
        """Returns the state after this operation, or None if it is impossible in `state`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Save(DocumentOperation):
    """A v1 save: the saved properties get `expiry`, the others keep theirs."""

    properties: Mapping[str, str]
    expiry: Expiry = NEVER

    def after(self, state: State) -> State:
        """Returns the state with these properties replaced."""
        kept = {row for row in state if row[0] not in self.properties}
        return frozenset(
            kept | {(name, value, self.expiry) for name, value in self.properties.items()}
        )


@dataclass(frozen=True, slots=True)
class Stamp(Save):
    """A v2 save: all properties of the document get `expiry`."""

    def after(self, state: State) -> State:
        """Returns the state with these properties replaced, and one expiry for all properties."""
        saved = Save.after(self, state)
        return frozenset((name, value, self.expiry) for name, value, _ in saved)


@dataclass(frozen=True, slots=True)
class Look(DocumentOperation):
    """A v1 read of all properties."""

    found: Mapping[str, str]

    def after(self, state: State) -> State | None:
        """Returns the same state if the read found it, else None."""
        return state if {name: value for name, value, _ in state} == self.found else None


@dataclass(frozen=True, slots=True)
class LookAtExpiry(DocumentOperation):
    """A v2 read of the document's expiry: NEVER if one of its properties never expires."""

    expiry: Expiry

    def after(self, state: State) -> State | None:
        """Returns the same state if it has this expiry, else None. Here, later v2 saves set later expiries."""
        expiries = {expiry for _, _, expiry in state}
        latest = NEVER if NEVER in expiries else max(filter(None, expiries), default=NEVER)
        return state if latest == self.expiry else None
