"""Lossless JSON: integers of any size, decimals with all digits, and only valid JSON.

The encoder of the standard library writes `NaN`, turns the key `1` into `"1"` and cannot encode
`Decimal`; its decoder turns `1e400` into infinity. So this module has its own encoder, and uses the
standard decoder with its own functions for numbers.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeGuard

from ccs_sdk._integers import integer_digits, parse_integer
from ccs_sdk.errors import InvalidArgumentError


class _TypedDict(Protocol):
    """Any `TypedDict`. To type checkers, a `TypedDict` is not a `Mapping[str, JSON]`."""

    __required_keys__: ClassVar[frozenset[str]]


JSON: TypeAlias = (
    str | int | float | bool | Decimal | Sequence["JSON"] | Mapping[str, "JSON"] | _TypedDict | None
)
"""A value that can be stored: any JSON value, with `Decimal` for exact decimals."""

JSONObject: TypeAlias = Mapping[str, JSON] | _TypedDict
"""A JSON object: a mapping with string keys, or a `TypedDict`."""

Default: TypeAlias = Callable[[Any], Any]
"""A function that returns what is stored for a value that JSON does not know."""

Value: TypeAlias = Any
"""A value that was read: any JSON value. It is `Any`, because only the caller knows its type."""

MAX_NESTING: Final = 100
_SCALARS: Final[tuple[type[object], ...]] = (str, int, float, Decimal)
_CONTAINERS: Final[tuple[type[object], ...]] = (Mapping, Sequence)
_BINARY: Final[tuple[type[object], ...]] = (bytes, bytearray, memoryview)

UNREADABLE: Final = (ValueError, ArithmeticError, RecursionError)
"""The exceptions that `decode` raises for text that is not JSON, nested too deep, or too large a number."""


def check_object(properties: object, what: str = "Properties") -> None:
    """Raises InvalidArgumentError if `properties` are not a mapping."""
    if not isinstance(properties, Mapping):
        raise InvalidArgumentError(
            f"{what} must be a mapping of names to values, not {type(properties).__name__}."
        )


def encode(value: JSON, *, wrapping: int = 0, default: Default | None = None) -> bytes:
    """Encodes `value` as JSON, in UTF-8.

    Args:
        value: The value, or a request body that contains values.
        wrapping: The number of levels around the stored values, which do not count as nesting.
        default: Returns what to write for a value that JSON does not know.

    Raises:
        InvalidArgumentError: `value` is not JSON: NaN, infinity, a lone surrogate, a key that is
            not a string, an object of another type, or nesting past 100 levels.
    """
    try:
        return _written(value, MAX_NESTING + wrapping, default).encode()
    except UnicodeEncodeError:
        surrogate = InvalidArgumentError(
            "The body contains a lone surrogate, which is not a character; leave it out."
        )
    raise surrogate


def _written(value: object, levels: int, default: Default | None) -> str:
    """Returns `value` as JSON text, with at most `levels` of nested containers."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if not _is_container(value):
        if default is None:
            raise InvalidArgumentError(f"A value must be JSON; {type(value).__name__} is not.")
        return _written(_converted(value, default), levels, default)
    if levels == 0:
        raise InvalidArgumentError(f"A value may be nested at most {MAX_NESTING} levels deep.")
    if isinstance(value, Mapping):
        return _object(value, levels - 1, default)
    return "[" + ",".join([_written(item, levels - 1, default) for item in value]) + "]"


def _converted(value: object, default: Default) -> object:
    """Returns what is written for `value`, whose members may need `default` too."""
    plain = default(value)
    if plain is None or isinstance(plain, _SCALARS) or _is_container(plain):
        return plain
    raise InvalidArgumentError(
        f"A value must be JSON; {type(plain).__name__}, which `default` returned for"
        f" {type(value).__name__}, is not."
    )


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


def _object(value: Mapping[object, object], levels: int, default: Default | None) -> str:
    members: list[str] = []
    for name, member in value.items():
        if not isinstance(name, str):
            raise InvalidArgumentError(
                f"The names of an object must be strings; {type(name).__name__} is not."
            )
        members.append(encode_basestring(name) + ":" + _written(member, levels, default))
    return "{" + ",".join(members) + "}"


def decode(text: bytes, *, decimals: bool) -> Value:
    """Decodes JSON. With `decimals`, numbers with a point or an exponent are `Decimal`.

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
    """Returns a float, or a `Decimal` if the float would be infinite, which is not JSON."""
    number = float(digits)
    return number if math.isfinite(number) else Decimal(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
