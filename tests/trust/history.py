"""What clients saw of properties: the material that `checker` judges."""

from collections.abc import Mapping
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


NEVER: Final = None
"""When a property expires that never does."""

Expiry = str | None
"""When a property expires, by the name of the save that gave it this expiry, or NEVER."""

State = frozenset[tuple[str, str, Expiry]]
"""The properties of a document: name, value and expiry of each."""


@dataclass(frozen=True, slots=True)
class DocumentOperation:
    """One operation on a whole document, between `invoked` and `returned` as of an Operation."""

    invoked: float
    returned: float

    def after(self, state: State) -> State | None:
        """The document's state when this took place; None if it cannot take place in `state`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Save(DocumentOperation):
    """Saves properties by v1: each gets `expiry`, the document's others keep theirs."""

    properties: Mapping[str, str]
    expiry: Expiry = NEVER

    def after(self, state: State) -> State:
        """The document with these properties replaced."""
        kept = {row for row in state if row[0] not in self.properties}
        return frozenset(
            kept | {(name, value, self.expiry) for name, value in self.properties.items()}
        )


@dataclass(frozen=True, slots=True)
class Stamp(Save):
    """Saves properties by v2: all of the document get `expiry`."""

    def after(self, state: State) -> State:
        """The document with these properties replaced, and all of them expiring at once."""
        saved = Save.after(self, state)
        return frozenset((name, value, self.expiry) for name, value, _ in saved)


@dataclass(frozen=True, slots=True)
class Look(DocumentOperation):
    """Reads all properties by v1."""

    found: Mapping[str, str]

    def after(self, state: State) -> State | None:
        """The same state, if it is what was found."""
        return state if {name: value for name, value, _ in state} == self.found else None


@dataclass(frozen=True, slots=True)
class LookAtExpiry(DocumentOperation):
    """Reads by v2 when the document expires: NEVER if one of its properties never does."""

    expiry: Expiry

    def after(self, state: State) -> State | None:
        """The same state, if its properties expire then. Here all saves of v2 before it give later ones."""
        expiries = {expiry for _, _, expiry in state}
        latest = NEVER if NEVER in expiries else max(filter(None, expiries), default=NEVER)
        return state if latest == self.expiry else None
