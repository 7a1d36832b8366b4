"""Times to live: `timedelta` or whole seconds in Python, whole seconds on the wire."""

from datetime import timedelta
from typing import Final, Literal, TypeAlias

from ccs_sdk.errors import InvalidArgumentError

KEEP: Final = "keep"

TTL: TypeAlias = timedelta | int
"""A time to live: a timedelta, or whole seconds."""

TTLOrKeep: TypeAlias = TTL | Literal["keep"]
"""A time to live, or `"keep"`: properties that exist keep theirs."""


def whole_seconds(ttl: object, what: str = "A ttl") -> int:
    """Returns the seconds of `ttl`, or raises InvalidArgumentError. The service checks the range."""
    if isinstance(ttl, timedelta):
        seconds, rest = divmod(ttl, timedelta(seconds=1))
        if not rest:
            return seconds
    elif type(ttl) is int:  # excludes True, which equals 1 but is probably a mistake
        return ttl
    raise InvalidArgumentError(f"{what} must be a timedelta or an int of whole seconds.")


def ttl_or_keep(ttl: object) -> int | str:
    """Returns the seconds of `ttl`, or "keep", or raises InvalidArgumentError."""
    if isinstance(ttl, str):
        if ttl == KEEP:
            return ttl
        raise InvalidArgumentError("A ttl must be a timedelta, an int of whole seconds, or 'keep'.")
    return whole_seconds(ttl)


def refuse_none(ttl: object, whose: str, instead: str) -> None:
    """Raises InvalidArgumentError if `ttl` is None."""
    if ttl is None:
        raise InvalidArgumentError(f"{whose} cannot be set to None; {instead}.")
