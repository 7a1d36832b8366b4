"""Where things are: every path of the contract, percent-encoded, as it goes onto the wire.

A slash of a name travels as `%2F`. The names `.` and `..` travel as `%2E` and `%2E%2E`, because
HTTP clients take away bare dot segments (RFC 3986, section 5.2.4).
"""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

_MAX_INCLUDE = 4_000  # characters; servers and proxies refuse request lines from 8,000 on


def segment(name: str) -> str:
    """`name` as one segment of a path."""
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return quote(name, safe="")


def properties(account: str, namespace: str, session_id: str | None) -> str:
    """The properties of a session, or, without one, of the namespace itself."""
    place = namespace if session_id is None else f"{namespace}/{segment(session_id)}"
    return f"{account}/{place}/properties"


def fits_path(name: str) -> bool:
    """Whether a path can carry the property's name.

    The service drops a trailing slash, and `.` and `..` mean folders on the way.
    """
    return not name.endswith("/") and name not in {".", ".."}


def include(names: Iterable[str]) -> str | None:
    """The query that asks for the properties `names`, or None if a query cannot carry them."""
    quoted = [quote(name, safe="") for name in names]
    query = "?include=" + ",".join(quoted)
    carried = len(query) <= _MAX_INCLUDE and "%2C" not in query
    return query if carried else None


def query(**parameters: object) -> str:
    """The query of those `parameters` that are not None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return "?" + urlencode(given) if given else ""
