"""The table of routes: which rule takes a path, and which rules cannot stand beside each other."""

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule, UnicodeConverter

from ccs_server.http.routing import RULE, Adapter, ClashingConverter, RouteError, RouteTable


class SessionConverter(ClashingConverter):
    clashes = frozenset({"properties"})


CONVERTERS: dict[str, type[UnicodeConverter]] = {"session": SessionConverter}
PROPERTY = "/<namespace>/properties/<path:name>"
OF_SESSION = "/<namespace>/<session:session>/properties"


def table(*rules: str | Rule) -> RouteTable:
    made = [
        Rule(each, endpoint=each, methods=["GET"]) if isinstance(each, str) else each
        for each in rules
    ]
    return RouteTable(Map(made, converters=CONVERTERS))


def found(routes: RouteTable, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    match = routes.find(method, path)
    return (match[0].rule, match[1]) if match else None


def test_parameters_take_one_segment_each() -> None:
    routes = table("/a/<x>/<y>")
    assert found(routes, "/a/1/2") == ("/a/<x>/<y>", {"x": "1", "y": "2"})
    assert found(routes, "/a/1\n/é") == ("/a/<x>/<y>", {"x": "1\n", "y": "é"})
    for path in ("/a/1", "/a/1/2/3", "/a//2", "/b/1/2", "a/1/2", ""):
        assert found(routes, path) is None


def test_a_path_takes_the_rest_slashes_included() -> None:
    routes = table("/a/<path:name>")
    for name in ("1", "1/2", "/", "1/", "//", "\n"):
        assert found(routes, f"/a/{name}") == ("/a/<path:name>", {"name": name})
    assert found(routes, "/a/") is None


def test_a_slash_at_the_end_of_other_paths_means_nothing() -> None:
    routes = table("/a/<x>", "/")
    assert found(routes, "/a/1/") == ("/a/<x>", {"x": "1"})
    assert found(routes, "/a/1//") is None
    assert found(routes, "/") == ("/", {})


def test_a_parameter_leaves_words_to_other_routes_where_there_is_one() -> None:
    routes = table(PROPERTY, OF_SESSION)
    assert found(routes, "/n/properties/properties") == (
        PROPERTY,
        {"namespace": "n", "name": "properties"},
    )
    assert found(routes, "/n/s/properties") == (OF_SESSION, {"namespace": "n", "session": "s"})
    alone = table(OF_SESSION)
    assert found(alone, "/n/properties/properties") == (
        OF_SESSION,
        {"namespace": "n", "session": "properties"},
    )


def test_words_are_left_by_method() -> None:
    patch = Rule(OF_SESSION, endpoint="patch", methods=["PATCH"])
    routes = table(PROPERTY, patch)
    match = found(routes, "/n/properties/properties", "PATCH")
    assert match == (OF_SESSION, {"namespace": "n", "session": "properties"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a/<x>", "/a/<y>"),
        ("/a/<x>", "/a/b"),
        ("/a/<path:x>", "/a/b/c"),
        ("/a/<path:x>", "/a/<x>/c"),
        ("/<x>/b", "/a/<y>"),
        (PROPERTY, "/<namespace>/<session>/properties"),
        (PROPERTY, "/<namespace>/properties/count"),
    ],
)
def test_two_routes_that_could_take_one_request_are_an_error(one: str, other: str) -> None:
    for rules in ((one, other), (other, one)):
        with pytest.raises(RouteError, match="could both take a GET"):
            table(*rules)


def test_two_routes_with_methods_of_their_own_are_none() -> None:
    table("/a/<x>", Rule("/a/<y>", endpoint="y", methods=["PUT"]))


def test_a_longer_route_does_not_take_the_requests_of_a_shorter_one() -> None:
    routes = table("/<account>/<namespace>/<session>", "/<account>/<namespace>/<session>/changes")
    assert found(routes, "/a/n/s") == (
        "/<account>/<namespace>/<session>",
        {"account": "a", "namespace": "n", "session": "s"},
    )
    changes = found(routes, "/a/n/s/changes")
    assert changes is not None
    assert changes[0].endswith("/changes")


@pytest.mark.parametrize("rule", ["/a/<int:x>", "/a-<x>", "/<path:x>/a"])
def test_a_route_of_another_form_is_an_error(rule: str) -> None:
    with pytest.raises(RouteError, match=r"In the route"):
        table(rule)


def adapter(routes: RouteTable, method: str, path: str) -> Adapter:
    return Adapter(routes, {"REQUEST_METHOD": method}, path, lambda: None)


def test_an_unknown_path_is_not_found_and_an_unknown_method_not_allowed() -> None:
    routes = table("/a", Rule("/a", endpoint="put", methods=["PUT"]))
    with pytest.raises(NotFound):
        adapter(routes, "GET", "/b").match()
    for method in ("DELETE", "get", "OTHER"):
        with pytest.raises(MethodNotAllowed) as refused:
            adapter(routes, method, "/a").match()
        assert refused.value.valid_methods == ["GET", "HEAD", "OPTIONS", "PUT"]


def test_the_rule_is_known_to_middleware() -> None:
    environ = {"REQUEST_METHOD": "GET"}
    Adapter(table("/a/<x>"), environ, "/a/1", lambda: None).match()
    assert environ[RULE] == "/a/<x>"


def test_options_finds_a_rule_of_the_path() -> None:
    rule, arguments = adapter(table("/a/<x>"), "OPTIONS", "/a/1").match()
    assert (rule.rule, arguments) == ("/a/<x>", {"x": "1"})
