"""The checker finds exactly the histories that are impossible."""

from itertools import permutations
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust.checker import document_violation, violations
from tests.trust.history import (
    ABSENT,
    NEVER,
    UNKNOWN,
    DocumentOperation,
    Kind,
    Look,
    LookAtExpiry,
    Operation,
    Save,
    Stamp,
    read,
    swap,
    write,
)

POSSIBLE = {
    "nothing happened": [],
    "absent at first": [read("r", ABSENT, 0, 1)],
    "a read sees the write before it": [write("r", "a", 0, 1), read("r", "a", 2, 3)],
    "a read beside a write sees it or does not": [
        write("r", "a", 0, 10),
        read("r", ABSENT, 1, 2),
        read("r", "a", 3, 4),
    ],
    "writes beside each other come in any order": [
        write("r", "a", 0, 10),
        write("r", "b", 0, 10),
        read("r", "b", 11, 12),
        read("r", "b", 13, 14),
    ],
    "a write of unknown outcome takes place late": [
        write("r", "a", 0, UNKNOWN),
        write("r", "b", 1, 2),
        read("r", "b", 3, 4),
        read("r", "a", 100, 101),
    ],
    "a write of unknown outcome never takes place": [
        write("r", "a", 0, UNKNOWN),
        read("r", ABSENT, 1, 2),
    ],
    "a deletion of unknown outcome takes place late": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, UNKNOWN),
        read("r", "a", 3, 4),
        read("r", ABSENT, 5, 6),
    ],
    "deleted and written again": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, 3),
        read("r", ABSENT, 4, 5),
        write("r", "b", 6, 7),
        read("r", "b", 8, 9),
    ],
    "swaps in a row": [
        swap("r", ABSENT, "a", 0, 9),
        swap("r", "b", "c", 0, 9),
        swap("r", "a", "b", 0, 9),
        read("r", "c", 10, 11),
    ],
    "a swap of unknown outcome is known by the swap of its value": [
        swap("r", ABSENT, "a", 0, UNKNOWN),
        swap("r", "a", "b", 1, UNKNOWN),
        read("r", "b", 2, 3),
        read("r", "b", 100, 101),
    ],
    "a swap before the deletion beside it": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, 9),
        swap("r", "a", "b", 2, 9),
        read("r", ABSENT, 10, 11),
    ],
    "properties do not concern each other": [
        write("r", "a", 0, 1),
        write("s", "b", 2, 3),
        read("r", "a", 4, 5),
        read("s", "b", 4, 5),
    ],
}

IMPOSSIBLE = {
    "an acknowledged write is lost": [write("r", "a", 0, 1), read("r", ABSENT, 2, 3)],
    "an acknowledged write gives way to an older one": [
        write("r", "a", 0, 1),
        write("r", "b", 2, 3),
        read("r", "a", 4, 5),
    ],
    "a write is seen, then unseen": [
        write("r", "a", 0, 10),
        read("r", "a", 1, 2),
        read("r", ABSENT, 3, 4),
    ],
    "a write of unknown outcome is seen, then unseen": [
        write("r", "a", 0, UNKNOWN),
        read("r", "a", 1, 2),
        read("r", ABSENT, 3, 4),
    ],
    "two readers disagree on the order of two writes": [
        write("r", "a", 0, 10),
        write("r", "b", 0, 10),
        read("r", "a", 11, 12),
        read("r", "b", 13, 14),
    ],
    "a value is seen before it was written": [read("r", "a", 0, 1), write("r", "a", 2, 3)],
    "a value of unknown outcome is seen before it was written": [
        read("r", "a", 0, 1),
        write("r", "a", 2, UNKNOWN),
    ],
    "never written": [write("r", "a", 0, 1), read("r", "z", 2, 3)],
    "a deleted value comes back": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, 3),
        read("r", "a", 4, 5),
    ],
    "a deletion deletes what was written after it": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, 3),
        write("r", "b", 4, 5),
        read("r", ABSENT, 6, 7),
    ],
    "two swaps of one value": [
        write("r", "a", 0, 1),
        swap("r", "a", "b", 2, 9),
        swap("r", "a", "c", 2, 9),
    ],
    "two are the first": [swap("r", ABSENT, "a", 0, 9), swap("r", ABSENT, "b", 0, 9)],
    "a swap of what was overwritten": [
        write("r", "a", 0, 1),
        write("r", "b", 2, 3),
        swap("r", "a", "c", 4, 5),
    ],
    "a swap of what was deleted": [
        write("r", "a", 0, 1),
        write("r", ABSENT, 2, 3),
        swap("r", "a", "b", 4, 5),
    ],
    "a swap is lost": [
        write("r", "a", 0, 1),
        swap("r", "a", "b", 2, 3),
        read("r", "a", 4, 5),
    ],
    "a value is written to another property": [write("r", "a", 0, 1), read("s", "a", 2, 3)],
}


@pytest.mark.parametrize("history", POSSIBLE.values(), ids=POSSIBLE)
def test_possible_histories_pass(history: list[Operation]) -> None:
    assert violations(history) == []


@pytest.mark.parametrize("history", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_histories_are_found(history: list[Operation]) -> None:
    assert len(violations(history)) == 1


def test_histories_with_equal_values_are_refused() -> None:
    with pytest.raises(ValueError, match="more than once"):
        violations([write("r", "a", 0, 1), write("r", "a", 2, 3)])


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Draws short histories of every kind, possible or not."""
    history = []
    for number in range(draw(st.integers(0, 6))):
        invoked = draw(st.integers(0, 12))
        returned: float = invoked + draw(st.integers(1, 8))
        if draw(st.integers(0, 3)) == 0:
            expected = draw(st.sampled_from([ABSENT, *map(str, range(6))]))
            if draw(st.integers(0, 3)) == 0:
                returned = UNKNOWN
            history.append(swap("r", expected, str(number), invoked, returned))
        elif draw(st.booleans()):
            value = draw(st.sampled_from([str(number), str(number), ABSENT]))
            if draw(st.integers(0, 3)) == 0:
                returned = UNKNOWN
            history.append(write("r", value, invoked, returned))
        else:
            value = draw(st.sampled_from([ABSENT, *map(str, range(6))]))
            history.append(read("r", value, invoked, returned))
    return history


@given(histories())
@settings(max_examples=500)
def test_the_checker_agrees_with_trying_every_order(history: list[Operation]) -> None:
    assert (violations(history) == []) == _some_order_fits(history)


def _some_order_fits(history: list[Operation]) -> bool:
    """Implements the definition literally."""
    unknown = [o for o in history if o.returned == UNKNOWN]
    certain = [o for o in history if o.returned != UNKNOWN]
    return any(
        _fits(order)
        for chosen in range(1 << len(unknown))
        for order in permutations(
            certain + [o for n, o in enumerate(unknown) if chosen >> n & 1],
        )
    )


def _fits(order: tuple[Operation, ...]) -> bool:
    state = ABSENT
    began = float("-inf")
    for operation in order:
        # No operation may come after one that began only when it had returned.
        if operation.returned < began:
            return False
        began = max(began, operation.invoked)
        if operation.kind is not Kind.READ:
            if operation.kind is Kind.SWAP and operation.expected != state:
                return False
            state = operation.value
        elif operation.value != state:
            return False
    return True


POSSIBLE_OF_A_DOCUMENT: dict[str, list[DocumentOperation]] = {
    "nothing happened": [Look(0, 1, {}), LookAtExpiry(2, 3, NEVER)],
    "v2 stamps what v1 saved": [
        Save(0, 1, {"b": "1"}),
        Stamp(2, 3, {"a": "1"}, "t1"),
        Look(4, 5, {"a": "1", "b": "1"}),
        LookAtExpiry(6, 7, "t1"),
    ],
    "v1 saves after v2": [
        Stamp(0, 5, {"a": "1"}, "t1"),
        Save(0, 5, {"b": "1"}),
        Look(1, 2, {"a": "1"}),
        LookAtExpiry(6, 7, NEVER),
    ],
    "the later stamp counts": [
        Stamp(0, 1, {"a": "1"}, "t1"),
        Stamp(2, 3, {"b": "1"}, "t2"),
        LookAtExpiry(4, 5, "t2"),
    ],
}

IMPOSSIBLE_OF_A_DOCUMENT: dict[str, list[DocumentOperation]] = {
    "v2 misses what v1 had saved": [
        Save(0, 1, {"b": "1"}),
        Stamp(2, 3, {"a": "1"}, "t1"),
        LookAtExpiry(4, 5, NEVER),
    ],
    "v2 misses what v1 saved beside it and a reader saw before it": [
        Save(0, 5, {"b": "1"}),
        Stamp(0, 9, {"a": "1"}, "t1"),
        Look(1, 6, {"b": "1"}),
        LookAtExpiry(10, 11, NEVER),
    ],
    "an expiry that a later save replaced": [
        Stamp(0, 1, {"a": "1"}, "t1"),
        Stamp(2, 3, {"b": "1"}, "t2"),
        LookAtExpiry(4, 5, "t1"),
    ],
    "a save is half seen": [Save(0, 9, {"a": "1", "b": "1"}), Look(1, 2, {"a": "1"})],
}


@pytest.mark.parametrize("history", POSSIBLE_OF_A_DOCUMENT.values(), ids=POSSIBLE_OF_A_DOCUMENT)
def test_possible_document_histories_pass(history: list[DocumentOperation]) -> None:
    assert document_violation(history) is None


@pytest.mark.parametrize("history", IMPOSSIBLE_OF_A_DOCUMENT.values(), ids=IMPOSSIBLE_OF_A_DOCUMENT)
def test_impossible_document_histories_are_found(history: list[DocumentOperation]) -> None:
    assert document_violation(history)


def test_long_histories_of_many_clients_are_checked_quickly() -> None:
    """32 overlapping clients of one property, for which a naive search would not end."""
    history: list[Operation] = []
    for number in range(3000):
        begun = number - number % 32
        # Each write and each read takes effect in the middle of its interval.
        if number % 2:
            history.append(read("r", f"{number - 1}", begun, begun + 64 + number % 7))
        else:
            history.append(write("r", f"{number}", begun, begun + 64 + number % 5))
    began = perf_counter()
    assert violations(history) == []
    assert perf_counter() - began < 10
