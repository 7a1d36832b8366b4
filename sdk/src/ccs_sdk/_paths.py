"""Percent-encoded parts of paths and queries, as they go onto the wire.

A slash of a name travels as `%2F`. The names `.` and `..` travel as `%2E` and `%2E%2E`, because
HTTP clients take away bare dot segments (RFC 3986, section 5.2.4).
"""

from collections.abc import Iterable
from urllib.parse import quote

from ccs_sdk._integers import integer_digits
from ccs_sdk.errors import InvalidArgumentError

_MAX_INCLUDE = 4_000  # characters; servers and proxies refuse request lines from 8,000 on


def segment(name: str) -> str:
    """`name` as one segment of a path."""
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return quote(name, safe="")


def fits_path(name: str) -> bool:
    """Whether a path can carry the property's name: `.` and `..` mean folders on the way."""
    return name not in {".", ".."}


def session_ttls(namespace: str) -> str:
    """Where the TTLs of a namespace's sessions are."""
    return f"/namespace/{segment(namespace)}/session"


def include(names: Iterable[str]) -> str | None:
    """The query that asks for the properties `names`, or None if a query cannot carry them."""
    quoted = [quote(name, safe="") for name in names]
    query = "?include=" + ",".join(quoted)
    carried = len(query) <= _MAX_INCLUDE and "%2C" not in query
    return query if carried else None


def query(*, after: str | None = None, **numbers: int | None) -> str:
    """The query of those parameters that are not None, or InvalidArgumentError."""
    given = [
        f"{name}={_digits(name, number)}" for name, number in numbers.items() if number is not None
    ]
    if after is not None:
        given.append(f"after={quote(after, safe='')}")
    return "?" + "&".join(given) if given else ""


def _digits(name: str, number: object) -> str:
    # True and 1.0 equal 1, but are not numbers that somebody meant.
    if type(number) is not int:
        raise InvalidArgumentError(
            f"{name} must be a whole number (int), not {type(number).__name__}."
        )
    return integer_digits(number)
