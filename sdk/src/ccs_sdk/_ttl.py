"""Times to live: `timedelta` or whole seconds in Python, whole seconds on the wire."""

from datetime import timedelta

from ccs_sdk.errors import InvalidArgumentError

MAX_TTL_SECONDS = 2_147_483_647


def ttl_second(ttl: timedelta | int) -> int:
    """The `ttlSecond` of version 1, from 0 (forever), or InvalidArgumentError."""
    seconds = _whole_seconds(ttl)
    if seconds is None:
        raise InvalidArgumentError("ttlSecond: Not a valid integer.")
    if not 0 <= seconds <= MAX_TTL_SECONDS:
        raise InvalidArgumentError(
            "ttlSecond: Must be greater than or equal to 0"
            f" and less than or equal to {MAX_TTL_SECONDS}."
        )
    return seconds


def ttl_seconds(ttl: timedelta | int) -> int:
    """The `ttlSeconds` of version 2, which grants as many as it will, or InvalidArgumentError."""
    seconds = _whole_seconds(ttl)
    if seconds is None or seconds < 0:
        raise InvalidArgumentError("ttlSeconds must be a whole number of seconds from 0.")
    return seconds


def _whole_seconds(ttl: timedelta | int) -> int | None:
    if isinstance(ttl, timedelta):
        seconds, rest = divmod(ttl, timedelta(seconds=1))
        return None if rest else seconds
    # True and 1.0 equal 1, but neither is a number of seconds that somebody meant.
    return ttl if type(ttl) is int else None
