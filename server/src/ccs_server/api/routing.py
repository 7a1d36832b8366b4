"""Finding the view of a request.

The paths of properties carry nearly all requests, and their rule is one that werkzeug's router does not know: the
first segment `properties` after the namespace ends the address, and what follows it, slashes included, is a name. So
one regular expression matches them. All other paths, and the methods that these do not have, are werkzeug's.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import BadRequest, RequestURITooLarge
from werkzeug.routing import PathConverter, Rule

_PROPERTIES = re.compile(
    "/v1/account/(?P<account>[^/]+)/(?P<namespace>[^/]+)(?:/(?P<session>[^/]+))??"
    "/properties(?:/(?P<name>.+))?",
    re.DOTALL,
)
_ALIAS = "/v1/brand/"
_UNREADABLE = "The path must be percent-encoded UTF-8."


class NameConverter(PathConverter):
    """A property name in a path: everything up to its end."""

    regex = "(?s:.+)"


class UnreadablePath(BadRequest):
    """A path that is not UTF-8."""

    data = {"messages": {"path": {"path": [_UNREADABLE]}}}  # noqa: RUF012 - as webargs gives it


def read_path(environ: WSGIEnvironment, longest: int) -> str:
    """The request's path with one trailing slash dropped and the alias `brand` read as `account`.

    Raises:
        UnreadablePath: it is not UTF-8.
        RequestURITooLarge: it is, with the query, over `longest` bytes, as decoded.
    """
    path: str = environ["PATH_INFO"]
    if len(path) + len(environ["QUERY_STRING"]) > longest:
        raise RequestURITooLarge
    if not path.isascii():
        try:
            path = path.encode("latin-1").decode()
        except UnicodeError:
            raise UnreadablePath from None
    if path.endswith("/") and path != "/":
        path = path[:-1]
    if path.startswith(_ALIAS):
        path = "/v1/account/" + path[len(_ALIAS) :]
    return path


class Match(NamedTuple):
    """A rule that fits a path, and its view's arguments. It stands in for werkzeug's adapter in Flask."""

    rule: Rule
    arguments: dict[str, str]

    def match(self, *, return_rule: bool) -> tuple[Rule, dict[str, str]]:  # noqa: ARG002
        """What Flask asks the adapter of a request."""
        return self


class PropertyRoutes:
    """The rules of the paths of properties, found by method and by which parts a path has."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[tuple[str, bool, bool], Rule] = {
            (method, "session" in rule.arguments, "name" in rule.arguments): rule
            for rule in rules
            if "/properties" in rule.rule and rule.rule.startswith("/v1/account/")
            # Flask answers OPTIONS by what werkzeug knows of the path.
            for method in (rule.methods or set()) - {"OPTIONS"}
        }

    def match(self, method: str, path: str) -> Match | None:
        """The match, or None where werkzeug has to look."""
        match = _PROPERTIES.fullmatch(path)
        if match is None:
            return None
        account, namespace, session, name = match.groups()
        rule = self._rules.get((method, session is not None, name is not None))
        if rule is None:
            return None
        arguments = {"account": account, "namespace": namespace}
        if session is not None:
            arguments["session"] = session
        if name is not None:
            arguments["name"] = name
        return Match(rule, arguments)
