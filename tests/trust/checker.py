"""Checks whether a history of client operations is linearizable, property by property.

A history is linearizable if every operation can be assigned a moment between its invocation and its return so that each
read returns the value of the latest write before it. So no acknowledged write is lost, no overwritten or deleted value
reappears, and no value appears that was never written. A write whose outcome is unknown may take place at any time
after its invocation, or never.

The search is that of Wing and Gong, with Lowe's cache of configurations ("Testing for linearizability", 2017). It has
five optimisations. They are exact, because no two writes of a history write the same value (except deletions):

- A read of the current value takes place as soon as it can.
- A value is not overwritten while reads of it remain, because it cannot return.
- After all reads of a value, a swap that expects it takes place, because nothing else may come between.
- When no remaining read or swap is of the current value, a write that is never read takes place as soon as it can.
- So does a write together with all its reads, if all of them can.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from tests.trust.history import ABSENT, UNKNOWN, DocumentOperation, Kind, Operation, State

_LEFT: Final = object()
"""The state in which no remaining read returns the current value."""

_Configuration = tuple[int, object]
"""The set of operations that have taken place, as bits, and the resulting state."""


def violations(history: Iterable[Operation]) -> list[str]:
    """Returns a sentence for each property whose history is not linearizable. All properties are absent at first.

    Raises:
        ValueError: Two writes of a property write the same value, so the history cannot be checked.
    """
    by_register: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_register[operation.register].append(operation)
    found = ((register, _violation(by_register[register])) for register in sorted(by_register))
    return [f"{register}: {sentence}" for register, sentence in found if sentence]


def document_violation(history: Sequence[DocumentOperation]) -> str | None:
    """Returns why a short history of a document, empty at first, is not linearizable, or None if it is.

    Its operations affect several properties and their expiries, so the properties cannot be checked separately.
    Every operation must have a known outcome.
    """
    empty: State = frozenset()
    best, tried, to_try = 0, set[tuple[int, State]](), [(0, empty)]
    while to_try:
        done, state = to_try.pop()
        if done == (1 << len(history)) - 1:
            return None
        if (done, state) in tried:
            continue
        tried.add((done, state))
        best = max(best, done, key=int.bit_count)
        left = [n for n in range(len(history)) if not done >> n & 1]
        # An operation cannot come before one that returned before it began.
        horizon = min(history[n].returned for n in left)
        for number in left:
            operation = history[number]
            if operation.invoked <= horizon and (after := operation.after(state)) is not None:
                to_try.append((done | 1 << number, after))
    left_over = [str(o) for n, o in enumerate(history) if not best >> n & 1]
    return f"no order fits; the longest leaves {'; '.join(left_over)}"


def _violation(operations: list[Operation]) -> str | None:
    written = Counter(
        o.value for o in operations if o.kind is not Kind.READ and o.value is not ABSENT
    )
    if repeated := [value for value, times in written.items() if times > 1]:
        raise ValueError(f"{repeated[0]} was written more than once; values must be unique.")
    for operation in operations:
        found = operation.expected if operation.kind is Kind.SWAP else operation.value
        if found is not ABSENT and found not in written and operation.returned != UNKNOWN:
            return f"{operation}: {found} was never written"
    return _Search(_with_known_ends(operations)).run()


def _with_known_ends(operations: list[Operation]) -> list[Operation]:
    """Sets the end of unknown writes to that of the first read or swap of their value; drops those that have none."""
    while True:
        seen: dict[str | None, float] = {}
        for operation in operations:
            if operation.kind is not Kind.WRITE:
                found = operation.value if operation.kind is Kind.READ else operation.expected
                seen[found] = min(operation.returned, seen.get(found, inf))
        # This may be before its own invocation, if the read returned before. Then no moment is left for both.
        known = [
            replace(o, returned=seen.get(o.value, UNKNOWN))
            if o.returned == UNKNOWN and o.value is not ABSENT
            else o
            for o in operations
        ]
        if known == operations:
            return [o for o in known if o.returned != UNKNOWN or o.value is ABSENT]
        # The end of a swap that is known now may be that of another write.
        operations = known


class _Search:
    """A search for a valid order of the operations of one property."""

    def __init__(self, operations: list[Operation]) -> None:
        self._operations = sorted(operations, key=lambda o: (o.invoked, o.returned))
        self._required = 0
        self._reads: dict[object, int] = defaultdict(int)
        self._swaps: dict[object, int] = defaultdict(int)
        for number, operation in enumerate(self._operations):
            if operation.returned != UNKNOWN:
                self._required |= 1 << number
            if operation.kind is Kind.READ:
                self._reads[operation.value] |= 1 << number
            elif operation.kind is Kind.SWAP:
                self._swaps[operation.expected] |= 1 << number

    def run(self) -> str | None:
        """Returns None if there is a valid order, else a sentence on where the longest partial order ends."""
        tried: set[_Configuration] = set()
        to_try: list[_Configuration] = [(0, ABSENT)]
        best: _Configuration = to_try[0]
        while to_try:
            configuration = self._without_choice(to_try.pop())
            if not self._required & ~configuration[0]:
                return None
            if configuration in tried:
                continue
            tried.add(configuration)
            best = max(best, configuration, key=lambda tried: tried[0].bit_count())
            to_try.extend(self._choices(*configuration))
        done, state = best
        stuck = min((self._operations[n] for n in self._next(done)), key=lambda o: o.returned)
        left = "a value that was overwritten" if state is _LEFT else state or "nothing"
        return f"{stuck} does not fit: all before it led to {left}"

    def _without_choice(self, configuration: _Configuration) -> _Configuration:
        """Applies the optimisations as long as possible."""
        done, state = configuration
        while True:
            can = sum(1 << number for number in self._next(done))
            if reads := self._reads[state] & can:
                done |= reads
                continue
            if state is not ABSENT and not self._reads[state] & ~done:
                swaps = self._swaps[state] & ~done
                if possible := swaps & can:
                    number = next(_bits(possible))
                    done, state = done | 1 << number, self._operations[number].value
                    continue
                if not swaps:
                    state = _LEFT
            step = self._unread_or_whole(can) if state is _LEFT else 0
            if not step:
                return done, state
            done |= step

    def _unread_or_whole(self, can: int) -> int:
        """Returns a write that can take place together with all reads of it, and those reads; none if it is swapped."""
        for number in _bits(can):
            operation = self._operations[number]
            reads = self._reads[operation.value]
            if (
                operation.kind is Kind.WRITE
                and operation.value is not ABSENT
                and not (reads & ~can or self._swaps[operation.value])
            ):
                return 1 << number | reads
        return 0

    def _choices(self, done: int, state: object) -> list[_Configuration]:
        """Returns the configurations after each write that may come next, the one that returned first last."""
        if state is not ABSENT and state is not _LEFT:
            return []
        swaps = self._swaps[ABSENT] if state is ABSENT else 0
        writes = [
            n for n in self._next(done) if self._operations[n].kind is Kind.WRITE or swaps >> n & 1
        ]
        writes.sort(key=lambda n: self._operations[n].returned, reverse=True)
        return [(done | 1 << n, self._operations[n].value) for n in writes]

    def _next(self, done: int) -> Iterator[int]:
        """Iterates over operations that can take place next: those that began before any remaining one returned."""
        horizon = inf
        first = (~done & (done + 1)).bit_length() - 1
        for number in range(first, len(self._operations)):
            operation = self._operations[number]
            if operation.invoked > horizon:
                return
            if not done >> number & 1:
                horizon = min(horizon, operation.returned)
                yield number


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
