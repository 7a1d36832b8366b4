"""The table of routes: which view handles a request, made of the rules that the blueprints declare.

It replaces Flask's router, which takes ten times as long (docs/performance.md). Rules consist of whole segments:
literals, parameters, and possibly a last parameter of type `path`, which takes the rest of the path, slashes included.

Two routes that could take the same request are an error when the table is made, so the order of routes never matters.
Where a contract gives such paths, the parameter's converter lists the words that belong to the other route (`clashes`).
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import BadRequest, MethodNotAllowed, NotFound, RequestURITooLarge
from werkzeug.routing import BaseConverter, Map, MapAdapter, PathConverter, Rule, UnicodeConverter

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that routes have. A method in lower case is another method (RFC 9110, section 9.1)."""

RULE = "ccs.rule"
"""The key of a request's rule in its WSGI environment, for middleware."""

_SEGMENT = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")
_UNREADABLE = "The path must be percent-encoded UTF-8."

Arguments = dict[str, str]


class RouteError(Exception):
    """A route that the table cannot hold: it clashes with another one, or has a form that is not supported."""


class UnreadablePath(BadRequest):
    """The path is not UTF-8."""

    data = {"messages": {"path": {"path": [_UNREADABLE]}}}  # noqa: RUF012 - as webargs has it


class ClashingConverter(UnicodeConverter):
    """A converter for a parameter where other routes have literals."""

    clashes: Collection[str] = ()
    """Words that the parameter takes only where no other route takes the path."""


class _Parameter(NamedTuple):
    name: str
    takes_rest: bool
    clashes: frozenset[str]


_Segment = str | _Parameter


class RouteTable:
    """The routes of an application, by method and path.

    Raises:
        RouteError: two rules could take the same request, or a rule has a form that is not supported.
    """

    def __init__(self, url_map: Map) -> None:
        routes: dict[str, list[_Route]] = {}
        for rule in url_map.iter_rules():
            route = _Route(rule, tuple(_segments_of(rule, url_map.converters)))
            methods = set(rule.methods or METHODS)
            if getattr(rule, "provide_automatic_options", False):
                # Flask responds by itself, with the methods of the path.
                methods.discard("OPTIONS")
            for method in sorted(methods):
                known = routes.setdefault(method, [])
                for other in known:
                    if _overlap(route.segments, other.segments):
                        raise RouteError(
                            f"The routes {rule.rule} and {other.rule.rule} could both take a {method}; change one of "
                            "them, or list the words that belong to the other in `clashes` of a converter."
                        )
                known.append(route)
        self._of_method = {method: _Routes(known) for method, known in routes.items()}

    def find(self, method: str, path: str) -> tuple[Rule, Arguments] | None:
        """The rule that takes a request, and its view's arguments.

        A slash at the end of the path means nothing, unless it belongs to a parameter of type `path`.
        """
        routes = self._of_method.get(method)
        return routes.find(path) if routes is not None else None

    def methods_of(self, path: str) -> list[str]:
        """The methods with a route for a path, OPTIONS included; none where there is nothing at the path."""
        methods = [method for method, routes in self._of_method.items() if routes.find(path)]
        return sorted({*methods, "OPTIONS"}) if methods else []


class _Route(NamedTuple):
    rule: Rule
    segments: tuple[_Segment, ...]

    def patterns(self, *, may_clash: bool) -> list[str]:
        """Regular expressions for the segments of its paths; those of parameters end with a group."""
        patterns = []
        for segment in self.segments:
            if isinstance(segment, str):
                patterns.append("/" + re.escape(segment))
            elif segment.takes_rest:
                patterns.append("/(.+)")
            elif segment.clashes and not may_clash:
                words = "|".join(map(re.escape, sorted(segment.clashes)))
                patterns.append(f"/(?!(?:{words})(?:/|\\Z))([^/]+)")
            else:
                patterns.append("/([^/]+)")
        return patterns

    @property
    def parameters(self) -> list[_Parameter]:
        return [each for each in self.segments if isinstance(each, _Parameter)]


class _Node:
    """Where routes part that begin alike: the segments that may follow, by pattern, and the route that ends here."""

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.route: _Route | None = None


def _tree(routes: Iterable[_Route], *, may_clash: bool) -> _Node:
    root = _Node()
    for route in routes:
        node = root
        for pattern in route.patterns(may_clash=may_clash):
            node = node.following.setdefault(pattern, _Node())
        node.route = route
    return root


class _Routes:
    """The routes of one method, as one regular expression: no two of them take the same path.

    Routes that begin alike share that part of the expression, so it is matched once.
    """

    def __init__(self, routes: Sequence[_Route]) -> None:
        # By the group that ends a route's pattern: the rule, its parameters, and their groups.
        self._found: dict[int, tuple[Rule, tuple[str, ...], tuple[int, ...]]] = {}
        self._groups = 0
        clashing = [route for route in routes if any(each.clashes for each in route.parameters)]
        # Where no other route takes the path, parameters take the words of other routes too.
        patterns = [
            self._pattern(_tree(those, may_clash=may_clash), ())
            for those, may_clash in ((routes, False), (clashing, True))
            if those
        ]
        self._match = re.compile("|".join(patterns), re.DOTALL).fullmatch

    def _pattern(self, node: _Node, groups: tuple[int, ...]) -> str:
        """The expression for what follows a node, given the groups of the parameters before it."""
        patterns = []
        if node.route is not None:
            # The empty group at the end tells which route has matched.
            end = self._next_group()
            parameters = node.route.parameters
            names = tuple(each.name for each in parameters)
            self._found[end] = node.route.rule, names, (*groups, end)
            takes_rest = bool(parameters) and parameters[-1].takes_rest
            patterns.append("()" if takes_rest else "/?()")
        for pattern, following in node.following.items():
            own = (self._next_group(),) if pattern.endswith("+)") else ()
            patterns.append(pattern + self._pattern(following, groups + own))
        return f"(?:{'|'.join(patterns)})"

    def _next_group(self) -> int:
        self._groups += 1
        return self._groups

    def find(self, path: str) -> tuple[Rule, Arguments] | None:
        match = self._match(path)
        if match is None:
            return None
        rule, names, groups = self._found[match.lastindex or 0]
        # The last of these groups is the empty one: for a rule without parameters, `group` returns it alone.
        arguments = dict(zip(names, match.group(*groups)))  # noqa: B905 - `strict=` takes a tenth of the time
        return rule, {**arguments, **rule.defaults} if rule.defaults else arguments


class Adapter:
    """Finds the view of one request. Everything else is left to werkzeug's MapAdapter, made when it is needed."""

    __slots__ = ("_environ", "_make", "_path", "_table")

    def __init__(
        self,
        table: RouteTable,
        environ: WSGIEnvironment,
        path: str,
        make: Callable[[], MapAdapter | None],
    ) -> None:
        self._table = table
        self._environ = environ
        self._path = path
        self._make = make

    def match(self, *_: object, **__: object) -> tuple[Rule, Arguments]:
        """The request's rule and its view's arguments.

        Raises:
            NotFound: there is nothing at the path.
            MethodNotAllowed: the path has no such method.
        """
        method = self._environ["REQUEST_METHOD"]
        found = self._table.find(method, self._path)
        if found is None:
            allowed = self.allowed_methods()
            if not allowed:
                raise NotFound
            if method != "OPTIONS":
                raise MethodNotAllowed(allowed)
            # Flask responds to it, whichever of the path's rules this is.
            found = next(filter(None, (self._table.find(other, self._path) for other in allowed)))
        self._environ[RULE] = found[0].rule
        return found

    def allowed_methods(self, path_info: str | None = None) -> list[str]:
        """The methods that the path has."""
        return self._table.methods_of(self._path if path_info is None else path_info)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._make(), name)


def read_path(environ: WSGIEnvironment, longest: int, aliases: Mapping[str, str]) -> str:
    """The request's path, decoded.

    Args:
        environ: the request's WSGI environment.
        longest: bytes that the path, as decoded, and the query may have.
        aliases: beginnings of paths that are read as other ones.

    Raises:
        UnreadablePath: it is not UTF-8.
        RequestURITooLarge: it is too long.
    """
    path: str = environ["PATH_INFO"]
    if len(path) + len(environ["QUERY_STRING"]) > longest:
        raise RequestURITooLarge
    if not path.isascii():
        try:
            path = path.encode("latin-1").decode()
        except UnicodeError:
            raise UnreadablePath from None
    for alias, meaning in aliases.items():
        if path.startswith(alias):
            return meaning + path[len(alias) :]
    return path


def _segments_of(rule: Rule, converters: Mapping[str, type[BaseConverter]]) -> Iterator[_Segment]:
    if rule.subdomain or rule.host:
        raise RouteError(f"The route {rule.rule} must be for every host.")
    *_, last = segments = rule.rule.split("/")[1:]
    for segment in segments:
        parameter = _SEGMENT.fullmatch(segment)
        if parameter is None:
            if "<" in segment:
                raise RouteError(
                    f"In the route {rule.rule}, a parameter must be a whole segment of the path."
                )
            yield segment
            continue
        converter = converters[parameter["converter"] or "default"]
        takes_rest = issubclass(converter, PathConverter)
        if not takes_rest and not issubclass(converter, UnicodeConverter):
            raise RouteError(
                f"In the route {rule.rule}, the parameter {parameter['name']} must be a string or a path."
            )
        if takes_rest and segment is not last:
            raise RouteError(
                f"In the route {rule.rule}, the parameter of type path must stand at the end."
            )
        clashes = frozenset(getattr(converter, "clashes", ()))
        yield _Parameter(parameter["name"], takes_rest, clashes)


def _overlap(one: Sequence[_Segment], other: Sequence[_Segment]) -> bool:
    """Whether there is a path that both take, and that neither leaves to the other."""
    for mine, yours in zip(one, other, strict=False):
        if isinstance(mine, str) and isinstance(yours, str):
            if mine != yours:
                return False
        elif isinstance(mine, str) or isinstance(yours, str):
            literal, parameter = (mine, yours) if isinstance(mine, str) else (yours, mine)
            assert isinstance(parameter, _Parameter)  # noqa: S101 - for the type checkers
            if literal in parameter.clashes:
                return False
            if parameter.takes_rest:
                return True
        elif mine.takes_rest or yours.takes_rest:
            return True
    return len(one) == len(other)
