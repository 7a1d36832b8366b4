"""What a namespace has switched on, and which namespaces this process knows to have something on.

A namespace without features pays nothing for them: the frequent statements change only what is in such a namespace
(`AND n.features = 0`), and do nothing elsewhere. Another form of the statement is executed then, which serves every
namespace (`logged`). A process remembers for two seconds where it came to that, and executes that form at once. If it
is wrong, this costs a round trip and never a change.
"""

from enum import IntFlag
from time import monotonic
from typing import NamedTuple

SECONDS = 2.0
"""For how long a process remembers what it has read of a namespace."""

_MOST = 10_000


class Feature(IntFlag):
    """What can be switched on in a namespace: the bits of `namespace.features`."""

    CHANGES = 1
    """Changes of its properties are logged."""
    VALUES = 2
    """The log has their values."""
    INDEX = 4
    """Sessions are found by an index of some names (`search_entry`)."""
    UPDATES = 8
    """Sessions are sorted by their last save, with an index too."""


class SearchIndex(NamedTuple):
    """The index of a namespace.

    Attributes:
        names: the indexed names, once it is ready.
        is_sorted: whether sessions are sorted by update, or will be.
        is_ready: whether it has all properties.
    """

    names: frozenset[str] = frozenset()
    is_sorted: bool = False
    is_ready: bool = True


class KnownFeatures:
    """The namespaces that have features, as far as this process has seen in the last two seconds.

    Safe to share between threads: each method is one operation on a dict.
    """

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def has_any(self, account: str, namespace: str) -> bool:
        """Whether the namespace is known to have features."""
        known = self._until
        if not known:
            return False
        until = known.get((account, namespace))
        return until is not None and monotonic() < until

    def learn(self, account: str, namespace: str, *, has_any: bool) -> None:
        """Notes whether a statement has found that the namespace has features."""
        if not has_any:
            self._until.pop((account, namespace), None)
            return
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[account, namespace] = monotonic() + SECONDS
