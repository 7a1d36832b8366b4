"""Times to live: `timedelta` or whole seconds in Python, whole seconds on the wire."""

from datetime import timedelta

from ccs_sdk.errors import InvalidArgumentError


def whole_seconds(ttl: timedelta | int) -> int:
    """Returns the seconds of `ttl`, or raises InvalidArgumentError. The service checks the range."""
    if isinstance(ttl, timedelta):
        seconds, rest = divmod(ttl, timedelta(seconds=1))
        if not rest:
            return seconds
    elif type(ttl) is int:  # excludes True, which equals 1 but is probably a mistake
        return ttl
    raise InvalidArgumentError("A ttl must be a timedelta or an int of whole seconds.")
