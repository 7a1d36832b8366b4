"""Times to live: `timedelta` or whole seconds in Python, whole seconds on the wire."""

from datetime import timedelta

from ccs_sdk.errors import InvalidArgumentError


def whole_seconds(ttl: timedelta | int) -> int:
    """The seconds of `ttl`, or InvalidArgumentError. How many may be is for the service to say."""
    if isinstance(ttl, timedelta):
        seconds, rest = divmod(ttl, timedelta(seconds=1))
        if not rest:
            return seconds
    elif type(ttl) is int:  # True equals 1, but is no number of seconds that somebody meant
        return ttl
    raise InvalidArgumentError("A ttl must be a timedelta or an int of whole seconds.")
