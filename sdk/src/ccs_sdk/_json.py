"""JSON without loss: integers of any size, decimals to their last digit, nothing that is not JSON.

The standard library writes `NaN`, turns the key `1` into `"1"` and can write no `Decimal`; its
reader turns `1e400` into infinity. So the writer is our own, a page long, and the reader is the
library's with its numbers ours.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeGuard

from ccs_sdk._integers import integer_digits, parse_integer
from ccs_sdk.errors import InvalidArgumentError


class _TypedDict(Protocol):
    """Any `TypedDict`, which for type checkers is no `Mapping[str, JSON]`."""

    __required_keys__: ClassVar[frozenset[str]]


JSON: TypeAlias = (
    str | int | float | bool | Decimal | Sequence["JSON"] | Mapping[str, "JSON"] | _TypedDict | None
)
"""What can be stored: any JSON value, with `Decimal` for exact decimals."""

JSONObject: TypeAlias = Mapping[str, JSON] | _TypedDict
"""A JSON object: a mapping by strings, or a `TypedDict`."""

Value: TypeAlias = Any
"""What is read back: any JSON value. Only the caller knows which; type checkers let it be used."""

MAX_NESTING: Final = 100
_CONTAINERS: Final[tuple[type[object], ...]] = (Mapping, Sequence)
_BINARY: Final[tuple[type[object], ...]] = (bytes, bytearray, memoryview)

UNREADABLE: Final = (ValueError, ArithmeticError, RecursionError)
"""What `decode` raises for what is not JSON, or nests or counts beyond all that is stored."""


def check_object(properties: object) -> None:
    """Raises InvalidArgumentError if `properties` are not a mapping."""
    if not isinstance(properties, Mapping):
        raise InvalidArgumentError(
            f"Properties must be a mapping of names to values, not {type(properties).__name__}."
        )


def encode(value: JSON, *, wrapping: int = 0) -> bytes:
    """The JSON text of `value`, in which `wrapping` levels stand around stored values, as UTF-8.

    Raises:
        InvalidArgumentError: `value` is not JSON: NaN, infinity, a lone surrogate, a key that is
            not a string, an object of another type, or nesting past 100 levels.
    """
    try:
        return _written(value, MAX_NESTING + wrapping).encode()
    except UnicodeEncodeError:
        surrogate = InvalidArgumentError(
            "The body holds a lone surrogate, which is no character; leave it out."
        )
    raise surrogate


def _written(value: object, levels: int) -> str:
    """`value` as JSON text; containers may nest `levels` deep."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if not _is_container(value):
        raise InvalidArgumentError(f"A value must be JSON; {type(value).__name__} is not.")
    if levels == 0:
        raise InvalidArgumentError(f"A value may be nested at most {MAX_NESTING} levels deep.")
    if isinstance(value, Mapping):
        return _object(value, levels - 1)
    return "[" + ",".join([_written(item, levels - 1) for item in value]) + "]"


def _is_container(value: object) -> TypeGuard[Mapping[object, object] | Sequence[object]]:
    return isinstance(value, _CONTAINERS) and not isinstance(value, _BINARY)


def _number(value: float | Decimal) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return integer_digits(value)
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise InvalidArgumentError("NaN and Infinity are not JSON.")
    return str(value) if isinstance(value, Decimal) else float.__repr__(value)


def _object(value: Mapping[object, object], levels: int) -> str:
    members: list[str] = []
    for name, member in value.items():
        if not isinstance(name, str):
            raise InvalidArgumentError(
                f"The names of an object must be strings; {type(name).__name__} is not."
            )
        members.append(encode_basestring(name) + ":" + _written(member, levels))
    return "{" + ",".join(members) + "}"


def decode(text: bytes, *, decimals: bool) -> Value:
    """The value of the JSON `text`; with `decimals`, a number with a point is a `Decimal`.

    Raises:
        UNREADABLE: `text` is not JSON.
    """
    read_float = Decimal if decimals else _float_or_decimal
    try:
        return json.loads(text, parse_float=read_float, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python converts by itself
        return json.loads(
            text, parse_float=read_float, parse_int=parse_integer, parse_constant=_refuse_constant
        )


def _float_or_decimal(digits: str) -> float | Decimal:
    """A float, unless that would be infinite: what is read must be JSON, too."""
    number = float(digits)
    return number if math.isfinite(number) else Decimal(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
