"""Percent-encoded parts of paths and queries.

A slash in a name is sent as `%2F`. The names `.` and `..` are sent as `%2E` and `%2E%2E`, because
HTTP clients remove dot segments (RFC 3986, section 5.2.4).
"""

from collections.abc import Iterable
from urllib.parse import quote

from ccs_sdk._integers import integer_digits
from ccs_sdk.errors import InvalidArgumentError

_MAX_INCLUDE = 4_000  # characters; servers and proxies refuse request lines of 8,000 or more


def segment(name: str) -> str:
    """Returns `name` encoded as one segment of a path."""
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return quote(name, safe="")


def fits_path(name: str) -> bool:
    """Returns whether a path can contain the property name: `.` and `..` are treated as folders."""
    return name not in {".", ".."}


def session_ttls(namespace: str) -> str:
    """Returns the path of the session TTLs of a namespace."""
    return f"/namespace/{segment(namespace)}/session"


def include(names: Iterable[str]) -> str | None:
    """Returns the query that requests the properties `names`, or None if no query can contain them."""
    quoted = [quote(name, safe="") for name in names]
    query = "?include=" + ",".join(quoted)
    fits = len(query) <= _MAX_INCLUDE and "%2C" not in query
    return query if fits else None


def query(*, after: str | None = None, **numbers: int | None) -> str:
    """Returns the query with the parameters that are not None, or raises InvalidArgumentError."""
    given = [
        f"{name}={_digits(name, number)}" for name, number in numbers.items() if number is not None
    ]
    if after is not None:
        given.append(f"after={quote(after, safe='')}")
    return "?" + "&".join(given) if given else ""


def filters(given: Iterable[tuple[str, str | None]]) -> str:
    """Returns parameters of a query, without those that are None, each with an ampersand before it."""
    return "".join(f"&{name}={quote(value, safe='')}" for name, value in given if value is not None)


def _digits(name: str, number: object) -> str:
    # True and 1.0 equal 1, but are probably mistakes.
    if type(number) is not int:
        raise InvalidArgumentError(
            f"{name} must be a whole number (int), not {type(number).__name__}."
        )
    return integer_digits(number)
