"""The conditions by which sessions are found (docs/extension.md, "Find sessions").

A client gives operators for each name. They are reduced to one condition for each name, which the database can
evaluate without knowing operators: what is left is a set of values, or a range of strings or numbers.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf, isinf, nextafter
from operator import eq, ge, gt, le, lt, ne
from sys import float_info, maxunicode
from typing import Any, TypeAlias

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.names import check_property

MAX_NAMES = 8
"""The maximum number of names in `where`."""

MAX_VALUES = 100
"""The maximum number of values of `$in`."""

Scalar: TypeAlias = str | float | bool | None
"""A value that can be compared. Every number is a float."""

Operators: TypeAlias = Mapping[str, Any]
"""The operators of a name with their operands, which have been checked."""


@dataclass(frozen=True)
class Condition:
    """What the property `name` of a session must be. Of the other fields, those are set that can be met.

    Attributes:
        name: the property's name.
        is_present: whether it must exist, and nothing else; None if its value matters.
        strings: the strings that it may equal.
        numbers: the numbers that it may equal.
        words: the booleans and null that it may equal, as in JSON.
        string_from: the first of the strings that it may be.
        string_below: the string that it must precede; None if there is no end.
        string_not: the string that it must differ from.
        number_from: the least of the numbers that it may be.
        number_to: the greatest of the numbers that it may be.
        number_not: the number that it must differ from.
    """

    name: str
    is_present: bool | None = None
    strings: tuple[str, ...] | None = None
    numbers: tuple[float, ...] | None = None
    words: tuple[str, ...] | None = None
    string_from: str | None = None
    string_below: str | None = None
    string_not: str | None = None
    number_from: float | None = None
    number_to: float | None = None
    number_not: float | None = None


@dataclass(frozen=True)
class Where:
    """All conditions of a request; a session must meet each.

    Attributes:
        text: them as JSON, the same for the same conditions in another order.
        conditions: one for each name; None if no session can meet them.
    """

    text: str
    conditions: tuple[Condition, ...] | None


def read_where(given: Mapping[str, bytes]) -> Where:
    """Reads `where`: what is given for each name, as JSON.

    Raises:
        InvalidInput: a name, an operator or an operand breaks a rule.
    """
    if len(given) > MAX_NAMES:
        raise InvalidInput(f"Name at most {MAX_NAMES} properties in where.", "where")
    read = {
        check_property(name, "where"): _read(f"where.{name}", text) for name, text in given.items()
    }
    conditions: list[Condition] = []
    for name, operators in read.items():
        condition = _reduce(name, operators)
        if condition is None:
            break
        conditions.append(condition)
    is_possible = len(conditions) == len(read)
    return Where(json.dumps(read, sort_keys=True), tuple(conditions) if is_possible else None)


def _read(place: str, text: bytes) -> Operators:
    number = partial(_number, place)
    value = json.loads(text, parse_int=number, parse_float=number)
    if isinstance(value, list) or value == {}:
        raise InvalidInput(
            f"Give {place} a string, number, boolean or null, or an object with an operator.", place
        )
    if not isinstance(value, dict):
        return {"$eq": value}
    for operator, operand in value.items():
        check = _CHECKS.get(operator)
        if check is None:
            raise InvalidInput(
                f"The operator '{operator}' in {place} is unknown; use one of {', '.join(_CHECKS)}.",
                f"{place}.{operator}",
            )
        check(f"{place}.{operator}", operand)
    return value


def _number(place: str, digits: str) -> float:
    number = float(digits)
    is_zero = not digits.lower().partition("e")[0].strip("-0.")
    if isinf(number) or (number == 0 and not is_zero):
        raise InvalidInput(
            f"A number in {place} is out of the range of a double; use another one.", place
        )
    return number


def _check_scalar(place: str, operand: object) -> None:
    if isinstance(operand, list | dict):
        raise InvalidInput(f"Give {place} a string, number, boolean or null.", place)


def _check_ordered(place: str, operand: object) -> None:
    if not isinstance(operand, str | float):
        raise InvalidInput(f"Give {place} a string or a number; nothing else has an order.", place)


def _check_values(place: str, operand: object) -> None:
    if not isinstance(operand, list) or not 1 <= len(operand) <= MAX_VALUES:
        raise InvalidInput(f"Give {place} an array of 1 to {MAX_VALUES} values.", place)
    for number, value in enumerate(operand):
        _check_scalar(f"{place}[{number}]", value)


def _check_string(place: str, operand: object) -> None:
    if not isinstance(operand, str):
        raise InvalidInput(f"Give {place} a string.", place)


def _check_boolean(place: str, operand: object) -> None:
    if not isinstance(operand, bool):
        raise InvalidInput(f"Give {place} true or false.", place)


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "$eq": _check_scalar,
    "$ne": _check_scalar,
    "$gt": _check_ordered,
    "$gte": _check_ordered,
    "$lt": _check_ordered,
    "$lte": _check_ordered,
    "$in": _check_values,
    "$prefix": _check_string,
    "$exists": _check_boolean,
}


def _reduce(name: str, operators: Operators) -> Condition | None:
    """Returns the condition that is met where all operators hold; None if they never do."""
    comparisons = {
        operator: operand for operator, operand in operators.items() if operator != "$exists"
    }
    is_present = operators.get("$exists")
    if not comparisons:
        return Condition(name, is_present=bool(is_present))
    if is_present is False:
        return None
    for operator, operand in comparisons.items():
        values = _values(operator, operand)
        if values is not None:
            return _equal_to(name, values, comparisons)
    types = {type(operand) for operand in comparisons.values()}
    if types == {str}:
        return _string_range(name, comparisons)
    return _number_range(name, comparisons) if types == {float} else None


def _values(operator: str, operand: Any) -> list[Scalar] | None:  # noqa: ANN401
    """Returns the only values for which the operator holds; None if there is no end of them."""
    match operator, operand:
        case "$eq", value:
            return [value]
        case "$in", values:
            return list(values)
        case "$ne", bool() as value:
            return [not value]
        case "$ne", None:
            return []
    return None


def _equal_to(name: str, values: Iterable[Scalar], comparisons: Operators) -> Condition | None:
    left = [value for value in values if all(_holds(value, *each) for each in comparisons.items())]
    if not left:
        return None
    return Condition(
        name,
        strings=tuple(value for value in left if isinstance(value, str)),
        numbers=tuple(value for value in left if isinstance(value, float)),
        words=tuple(
            json.dumps(value) for value in left if value is None or isinstance(value, bool)
        ),
    )


def _holds(value: Scalar, operator: str, operand: Any) -> bool:  # noqa: ANN401
    if operator == "$in":
        return any(_holds(value, "$eq", each) for each in operand)
    return type(value) is type(operand) and _COMPARISONS[operator](value, operand)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": eq,
    "$ne": ne,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
    "$prefix": str.startswith,
}


def _string_range(name: str, comparisons: Operators) -> Condition | None:
    first, end = "", None
    for operator, operand in comparisons.items():
        from_, below = _RANGES[operator](operand)
        first = max(first, from_)
        end = below if end is None else end if below is None else min(end, below)
    if end is not None and first >= end:
        return None
    return Condition(name, string_from=first, string_below=end, string_not=comparisons.get("$ne"))


# A range of strings from the first value to just before the second one; None if there is no end. A string is followed
# by itself with U+0001, because none contains U+0000.
_RANGES: dict[str, Callable[[str], tuple[str, str | None]]] = {
    "$ne": lambda _: ("", None),
    "$gt": lambda string: (string + "\x01", None),
    "$gte": lambda string: (string, None),
    "$lt": lambda string: ("", string),
    "$lte": lambda string: ("", string + "\x01"),
    "$prefix": lambda string: (string, _after_prefix(string)),
}


def _after_prefix(prefix: str) -> str | None:
    """Returns the first string after all that begin with `prefix`; None if there is none."""
    kept = prefix.rstrip(_LAST_CHARACTER)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


_LAST_CHARACTER = chr(maxunicode)
_SURROGATES = range(0xD800, 0xE000)
"""Code points that are not characters."""


def _number_range(name: str, comparisons: Operators) -> Condition | None:
    least = max(
        comparisons.get("$gte", -float_info.max), nextafter(comparisons.get("$gt", -inf), inf)
    )
    most = min(
        comparisons.get("$lte", float_info.max), nextafter(comparisons.get("$lt", inf), -inf)
    )
    if least > most:
        return None
    return Condition(name, number_from=least, number_to=most, number_not=comparisons.get("$ne"))
