"""Our Flask beside Flask's own: whatever an application registers, the two cannot be told apart.

Each feature of Flask is registered on both. The same requests are made, several times, since ours takes its shorter way
from the second one on; what was called, and with what, and the responses, must be equal.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    after_this_request,
    g,
    request,
    signals,
    url_for,
)
from werkzeug.exceptions import NotFound

from ccs_server.http.application import Application
from ccs_server.http.blueprint import Resource


class _Thing(Resource):
    def get(self) -> str:
        return "got"

    def put(self) -> str:
        return "put"


Log = list[object]
Feature = Callable[[Flask, Blueprint, Log], None]
FEATURES: list[Feature] = []
REQUESTS = [
    ("GET", "/b/found/1"),
    ("POST", "/b/found/1"),
    ("PUT", "/b/found/1"),
    ("HEAD", "/b/found/1"),
    ("OPTIONS", "/b/found/1"),
    ("GET", "/b/refused"),
    ("GET", "/b/failing"),
    ("GET", "/b/async"),
    ("GET", "/b/tuple"),
    ("GET", "/plain"),
    ("GET", "/unknown"),
    ("get", "/plain"),
]


class Sent(NamedTuple):
    """Stands in a log before what a request has caused."""

    method: str
    path: str


def feature(register: Feature) -> Feature:
    FEATURES.append(register)
    return register


def _note(log: Log, what: str, value: object = None) -> Callable[..., Any]:
    def noted(*arguments: object, **_: object) -> object:
        seen = [
            repr(each) if isinstance(each, BaseException) else type(each).__name__
            for each in arguments
        ]
        log.append((what, request.path if request else None, seen))
        return value

    return noted


@feature
def nothing(app: Flask, blueprint: Blueprint, log: Log) -> None:
    pass


@feature
def functions_before(app: Flask, blueprint: Blueprint, log: Log) -> None:
    app.before_request(_note(log, "app"))
    blueprint.before_request(_note(log, "blueprint"))
    blueprint.before_app_request(_note(log, "app by blueprint"))


@feature
def a_function_of_the_application_that_responds(app: Flask, blueprint: Blueprint, log: Log) -> None:
    app.before_request(_note(log, "app", ("no", 403)))
    blueprint.before_request(_note(log, "blueprint"))


@feature
def a_function_of_the_blueprint_that_responds(_: Flask, blueprint: Blueprint, log: Log) -> None:
    blueprint.before_request(_note(log, "blueprint", "instead"))


@feature
def functions_after(app: Flask, blueprint: Blueprint, log: Log) -> None:
    def after(response: Response) -> Response:
        log.append(("after", response.status_code))
        response.headers["X-After"] = "1"
        return response

    app.after_request(after)
    blueprint.after_request(after)


@feature
def teardowns(app: Flask, blueprint: Blueprint, log: Log) -> None:
    app.teardown_request(_note(log, "request"))
    blueprint.teardown_request(_note(log, "blueprint"))


@feature
def a_teardown_of_the_context(app: Flask, _: Blueprint, log: Log) -> None:
    app.teardown_appcontext(_note(log, "context"))


@feature
def a_preprocessor_of_arguments(app: Flask, blueprint: Blueprint, log: Log) -> None:
    def change(endpoint: str | None, values: dict[str, Any] | None) -> None:
        log.append((endpoint, values))
        if values and "x" in values:
            values["x"] = "changed"

    app.url_value_preprocessor(change)
    blueprint.url_value_preprocessor(change)


@feature
def error_handlers(app: Flask, blueprint: Blueprint, log: Log) -> None:
    app.register_error_handler(ZeroDivisionError, lambda error: (f"handled {error}", 500))
    blueprint.register_error_handler(NotFound, _note(log, "not found", ("by the blueprint", 404)))


@feature
def an_async_function_before(app: Flask, _: Blueprint, log: Log) -> None:
    async def before() -> None:
        log.append("async")

    app.before_request(before)


def _answers(make: Callable[[], Flask], register: Feature) -> tuple[Log, Log]:
    """What was called for the requests, and the responses."""
    log: Log = []
    app, blueprint = make(), Blueprint("b", __name__, url_prefix="/b")
    app.logger.disabled = True
    _add_views(app, blueprint, log)
    register(app, blueprint, log)
    app.register_blueprint(blueprint)
    client = app.test_client()
    responses: Log = []
    for method, path in REQUESTS * 3:
        log.append(Sent(method, path))
        response = client.open(path, method=method)
        headers = sorted((name, value) for name, value in response.headers if name != "Allow")
        seen = response.status_code, headers, response.data, sorted(response.allow)
        responses.append((method, path, *seen))
    return log, responses


def _add_views(app: Flask, blueprint: Blueprint, log: Log) -> None:
    @blueprint.route("/found/<x>", methods=["GET", "POST"])
    def found(x: str) -> str:
        # `g` is new for each request.
        log.append((x, request.endpoint, dict(request.view_args or {}), "seen" in g))
        g.seen = True

        @after_this_request
        def once(response: Response) -> Response:
            if request.method == "POST":
                response.headers["X-Once"] = "1"
            return response

        return f"{x} {url_for('b.found', x='2')}"

    @blueprint.get("/refused")
    def refused() -> str:
        abort(418)

    @blueprint.get("/failing")
    def failing() -> str:
        return str(1 / 0)

    @blueprint.get("/async")
    async def asynchronous() -> str:
        return "async"

    @blueprint.get("/tuple")
    def several() -> tuple[dict[str, int], int, dict[str, str]]:
        return {"a": 1}, 201, {"X-View": "1"}

    @app.get("/plain")
    def plain() -> str:
        return "plain"


def _ours() -> Application:
    return Application("ours", url_limit=8000, aliases={})


def _flasks() -> Flask:
    return Flask("flasks", static_folder=None)


@pytest.mark.parametrize("register", FEATURES, ids=lambda each: each.__name__)
def test_it_cannot_be_told_from_flask(register: Feature) -> None:
    ours, flasks = _answers(_ours, register), _answers(_flasks, register)
    # Werkzeug takes a method in lower case for the one in capitals; here it is another (contract, section 5).
    for theirs, mine in zip(flasks[1], ours[1], strict=True):
        if mine[0] != "get":  # type: ignore[index]
            assert mine == theirs
    assert _without_lower_case(ours[0]) == _without_lower_case(flasks[0])


def _without_lower_case(log: Log) -> Log:
    kept, skips = [], False
    for entry in log:
        if isinstance(entry, Sent):
            skips = entry.method == "get"
        if not skips:
            kept.append(entry)
    return kept


@pytest.mark.parametrize(
    "name",
    [
        "appcontext_pushed",
        "appcontext_popped",
        "appcontext_tearing_down",
        "got_request_exception",
        "request_finished",
        "request_started",
        "request_tearing_down",
    ],
)
def test_a_signal_that_is_connected_later_is_sent(name: str) -> None:
    def seen(make: Callable[[], Flask]) -> Log:
        app = make()
        app.logger.disabled = True
        app.add_url_rule("/a", view_func=lambda: "a", endpoint="a")
        app.add_url_rule("/failing", view_func=lambda: str(1 / 0), endpoint="failing")
        client = app.test_client()
        client.get("/a")
        log: Log = []

        def receive(_: Flask, **arguments: object) -> None:
            log.append(sorted(arguments))

        with getattr(signals, name).connected_to(receive, app):
            for path in ("/a", "/a", "/failing", "/b"):
                client.get(path)
        client.get("/a")
        return log

    assert seen(_ours) == seen(_flasks) != []


def test_nothing_is_registered_after_the_first_request() -> None:
    """So the shorter way skips nothing that comes later."""
    app = _ours()
    app.add_url_rule("/a", view_func=lambda: "a")
    app.test_client().get("/a")
    with pytest.raises(AssertionError, match="before_request"):
        app.before_request(lambda: None)


def test_a_resource_has_a_view_for_each_method() -> None:
    app = _ours()
    app.add_url_rule("/a", view_func=_Thing.as_view("thing"))
    client = app.test_client()
    for _ in range(2):
        assert client.get("/a").data == b"got"
        assert client.put("/a").data == b"put"
        assert client.head("/a").status_code == 200
        assert client.post("/a").status_code == 405


def _replacing(view: Callable[..., str]) -> Callable[..., str]:
    @wraps(view)
    def instead(**arguments: str) -> str:
        return f"instead of {view(**arguments)}"

    return instead


def test_a_decorator_around_a_resource_is_called() -> None:
    class Decorated(_Thing):
        decorators = [_replacing]  # noqa: RUF012 - as Flask has it

    app = _ours()
    app.add_url_rule("/within", view_func=Decorated.as_view("within"))
    app.add_url_rule("/around", view_func=_replacing(_Thing.as_view("around")))
    client = app.test_client()
    for path in ("/within", "/around", "/within", "/around"):
        assert client.get(path).data == b"instead of got"


def test_trusted_hosts_are_heeded() -> None:
    app = _ours()
    app.config["TRUSTED_HOSTS"] = ["trusted.example"]
    app.add_url_rule("/a", view_func=lambda: "a")
    client = app.test_client()
    assert client.get("/a", headers={"Host": "trusted.example"}).status_code == 200
    assert client.get("/a", headers={"Host": "other.example"}).status_code == 400


def test_routes_that_clash_are_an_error() -> None:
    app = _ours()
    app.add_url_rule("/a/<x>", view_func=lambda x: x, endpoint="one")
    app.add_url_rule("/a/b", view_func=lambda: "b", endpoint="other")
    with pytest.raises(Exception, match="could both take a GET"):
        app.route_table()
