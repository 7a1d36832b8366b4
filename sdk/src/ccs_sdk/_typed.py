"""Values as the types that the caller asks for.

The plain types of JSON need nothing else. All others are converted by a validator that the caller has:
pydantic for its models, msgspec for dataclasses, `TypedDict`s, datetimes, enums and the like.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar, get_args

from ccs_sdk._json import Value
from ccs_sdk.errors import ConfigurationError, UnexpectedValueError

T = TypeVar("T")

_PLAIN: Final[dict[object, tuple[type, ...]]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (float, int),
    list: (list,),
    dict: (dict,),
}


def as_type(value: Value, kind: type[T], what: str) -> T:
    """Returns `value` as a `kind`.

    Args:
        value: A value that was read.
        kind: A type.
        what: What the value is of, for the error.

    Raises:
        UnexpectedValueError: The value is not one of the type.
        ConfigurationError: The type needs msgspec, which is not installed.
    """
    plain = _PLAIN.get(kind)
    if plain is not None:
        if not isinstance(value, plain) or (isinstance(value, bool) and kind is not bool):
            raise UnexpectedValueError(
                f"{what} is not a {kind.__name__}, but a {type(value).__name__}."
            )
        return kind(value)  # type: ignore[call-arg]  # an int becomes a float
    validate: Callable[[Value], T] = getattr(kind, "model_validate", None) or _msgspec(kind)
    try:
        return validate(value)
    except ValueError as error:  # of both validators
        raise UnexpectedValueError(f"{what} is not a {_name(kind)}: {error}") from error


def _msgspec(kind: type[T]) -> Callable[[Value], T]:
    try:
        from msgspec import convert  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"To read a {_name(kind)}, install msgspec: pip install 'ccs-sdk[typed]'."
        ) from None
    return partial(convert, type=kind)


def _name(kind: type) -> str:
    """Returns the name of a type, `list[int]` included, whose `__name__` is `list`."""
    return str(kind) if get_args(kind) else kind.__name__
