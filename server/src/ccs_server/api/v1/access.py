"""Which rights the rows of v1 need, for keys and tokens that do not have all of them (extension, section 6)."""

from collections.abc import Mapping, Sequence

from flask import Request

from ccs_server.api.v1.queries import read_query
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.names import DEFAULT_SESSION

_READS = frozenset({"GET", "HEAD", "OPTIONS"})

_DOCUMENT_ROWS = frozenset(
    f"v1.{resource}"
    for resource in (
        "NamespaceProperties",
        "NamespaceProperty",
        "SessionProperties",
        "SessionProperty",
    )
)
"""The endpoints of rows 4 to 15. Without a session in the path, they are about the session `__default__`."""


def check_row(request: Request, access: Access) -> None:
    """Checks the rights that a request needs, as far as its method and its URL tell.

    The rest is in bodies: `bodies.read_properties` checks the names of properties, and row 1 its namespace.

    Raises:
        Forbidden: the credential lacks one of them.
        InvalidInput: the query cannot be read.
    """
    # From the environment: `request.method` would initialize the request, which takes 4 µs (http/requests.py).
    method: str = request.environ["REQUEST_METHOD"]
    access.require(Scope.READ if method in _READS else Scope.WRITE)
    arguments = request.view_args or {}
    namespace = arguments.get("namespace")
    if namespace is None:
        access.require_account()
    elif request.endpoint in _DOCUMENT_ROWS:
        session = arguments.get("session", DEFAULT_SESSION)
        access.require_document(namespace, session, _names_of(request, arguments, method))
    else:
        access.require_namespace(namespace)


def _names_of(request: Request, arguments: Mapping[str, str], method: str) -> Sequence[str] | None:
    """The properties that a request of rows 4 to 15 names in its URL; None for all."""
    name = arguments.get("name")
    if name is not None:
        return [name]
    if method == "PATCH":
        return []
    return read_query(request.environ).include if method in _READS else None
