"""Finding the view of a request.

The paths of properties carry nearly all requests, and their rule is one that werkzeug's router does not know: the
first segment `properties` after the namespace ends the address, and what follows it, slashes included, is a name. So
one regular expression matches them, and another one those of documents, to be as fast. Other paths that have parts,
and the methods that these do not have, are werkzeug's.
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
_DOCUMENT = re.compile(
    "/v2/context/document/(?P<account>[^/]+)/(?P<namespace>[^/]+)(?:/(?P<session>[^/]+))?",
    re.DOTALL,
)
_ALIAS = "/v1/brand/"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Every method that a route of this service has, as HTTP has them: in capitals."""

_UNREADABLE = "The path must be percent-encoded UTF-8."


class NameConverter(PathConverter):
    """A property name in a path: everything up to its end."""

    regex = "(?s:.+)"


class UnreadablePath(BadRequest):
    """A path that is not UTF-8."""

    data = {"messages": {"path": {"path": [_UNREADABLE]}}}  # noqa: RUF012 - as webargs gives it


def read_path(environ: WSGIEnvironment, longest: int) -> str:
    """The request's path, decoded, with the alias `brand` read as `account`.

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
    if path.startswith(_ALIAS):
        path = "/v1/account/" + path[len(_ALIAS) :]
    return path


def without_slash(path: str) -> str:
    """The path with one trailing slash dropped."""
    return path[:-1] if path.endswith("/") and path != "/" else path


class Match(NamedTuple):
    """A rule that fits a path, and its view's arguments. It stands in for werkzeug's adapter in Flask."""

    rule: Rule
    arguments: dict[str, str]

    def match(self, *, return_rule: bool) -> tuple[Rule, dict[str, str]]:  # noqa: ARG002
        """What Flask asks the adapter of a request."""
        return self


class Routes:
    """The rules that are found here, by method, and by the path or by which parts it has."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._of_paths: dict[tuple[str, str], Match] = {}
        self._of_properties: dict[tuple[str, frozenset[str]], Rule] = {}
        self._of_documents: dict[tuple[str, frozenset[str]], Rule] = {}
        for rule in rules:
            # Flask answers OPTIONS by what werkzeug knows of the path.
            for method in (rule.methods or set()) - {"OPTIONS"}:
                key = method, frozenset(rule.arguments)
                if not rule.arguments:
                    self._of_paths[method, rule.rule] = Match(rule, {})
                elif rule.rule.startswith("/v1/account/") and "/properties" in rule.rule:
                    self._of_properties[key] = rule
                elif rule.rule.startswith("/v2/context/document/"):
                    self._of_documents[key] = rule

    def match(self, method: str, path: str) -> Match | None:
        """The match, or None where werkzeug has to look.

        A slash at the end of a property's name belongs to it; at the end of any other path it means nothing.
        """
        if path.endswith("/"):
            named = _PROPERTIES.fullmatch(path)
            if named is None or named["name"] is None:
                path = without_slash(path)
        known = self._of_paths.get((method, path))
        if known is not None:
            return known
        for expression, rules in (
            (_PROPERTIES, self._of_properties),
            (_DOCUMENT, self._of_documents),
        ):
            match = expression.fullmatch(path)
            if match is not None:
                parts = {name: part for name, part in match.groupdict().items() if part is not None}
                rule = rules.get((method, frozenset(parts)))
                return Match(rule, parts) if rule else None
        return None
