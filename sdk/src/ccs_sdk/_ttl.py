"""Times to live: `timedelta` or whole seconds in Python, whole seconds on the wire."""

from datetime import timedelta

from ccs_sdk.errors import InvalidArgumentError

MAX_TTL_SECONDS = 2_147_483_647


def whole_seconds(ttl: timedelta | int, field: str) -> int:
    """The seconds of `ttl`, which `field` carries on the wire, or InvalidArgumentError."""
    if isinstance(ttl, timedelta):
        seconds, rest = divmod(ttl, timedelta(seconds=1))
        if rest:
            raise _not_a_ttl(field)
        ttl = seconds
    # True and 1.0 equal 1, but neither is a number of seconds that somebody meant.
    if type(ttl) is not int or not 0 <= ttl <= MAX_TTL_SECONDS:
        raise _not_a_ttl(field)
    return ttl


def _not_a_ttl(field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{field} must be a whole number of seconds from 0 (forever) to {MAX_TTL_SECONDS}."
    )
