"""Flask with a shorter way for most requests, which cannot be told from Flask's own (tests/http/test_application.py).

The shorter way omits only the steps that have nothing to do, because no function or signal receiver is registered for
them. docs/performance.md says what that saves. Everything else is Flask's.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple

import flask.globals
from flask import Flask, Request
from flask import Response as FlaskResponse
from flask.sessions import NullSession, SessionInterface
from flask.signals import (
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from werkzeug.routing import MapAdapter

from ccs_server.http.requests import LazyRequest
from ccs_server.http.routing import METHODS, Adapter, RouteTable, read_path

if TYPE_CHECKING:
    from flask.ctx import AppContext


class _NoSessions(SessionInterface):
    """There are no cookies here, so one empty session serves every request."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002
        return self._session


def _current_context() -> Any:  # noqa: ANN401
    """The request's context, which Flask 3.1 does not pass. The next version warns where this proxy is imported."""
    proxy: Any = flask.globals.request_ctx
    return proxy._get_current_object()  # noqa: SLF001 - documented by Flask for such uses


class _Steps(NamedTuple):
    """The steps of a request to an endpoint: the functions that are called before the view, and the views by method."""

    before: tuple[Callable[[], Any], ...]
    views: Mapping[str, Callable[..., Any]]


class Application(Flask):
    """A Flask application with routes as `routing` says, without sessions.

    Args:
        import_name: as Flask's.
        url_limit: bytes that a path and a query may have.
        aliases: beginnings of paths that are read as other ones.
    """

    request_class = LazyRequest
    session_interface = _NoSessions()

    def __init__(self, import_name: str, *, url_limit: int, aliases: Mapping[str, str]) -> None:
        super().__init__(import_name, static_folder=None)
        self._url_limit = url_limit
        self._aliases = aliases
        self._table: RouteTable | None = None
        # By endpoint; None where Flask's own way has to be taken.
        self._steps: dict[str, _Steps | None] = {}

    def route_table(self) -> RouteTable:
        """The table of all routes, made when it is first asked for.

        Raises:
            RouteError: two routes could take the same request, or a route has a form that is not supported.
        """
        if self._table is None:
            self._table = RouteTable(self.url_map)
        return self._table

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the request's view."""
        if request is None:
            return super().create_url_adapter(None)
        if self.config["TRUSTED_HOSTS"] is not None:
            super().create_url_adapter(request)
        path = read_path(request.environ, self._url_limit, self._aliases)
        make = partial(Flask.create_url_adapter, self, request)
        adapter: Any = Adapter(self._table or self.route_table(), request.environ, path, make)
        return adapter  # type: ignore[no-any-return]

    # The next Flask (3.2) passes the context to these, in front of their other arguments, and tells by the annotation
    # that they expect it.

    def full_dispatch_request(self, *context: "AppContext") -> FlaskResponse:
        """From a request to its response: the functions before the view, the view, whatever error they raise."""
        current: Any = context[0] if context else _current_context()
        request = current.request
        method = request.environ["REQUEST_METHOD"]
        rule = request.url_rule
        steps = self._steps.get(rule.endpoint) if rule is not None else None
        if (
            steps is None
            or method == "OPTIONS"
            or request_started.receivers
            or request_finished.receivers
        ):
            response = super().full_dispatch_request(*context)
            if rule is not None and rule.endpoint not in self._steps:
                # Nothing more can be registered: Flask forbids it from the first request on.
                self._steps[rule.endpoint] = self._steps_of(request)
            return response
        try:
            value = None
            for function in steps.before:
                value = function()
                if value is not None:
                    break
            else:
                value = steps.views[method](**request.view_args)
        except Exception as error:  # noqa: BLE001 - Flask handles it, and raises it again if nothing does
            value = self.handle_user_exception(*context, error)  # type: ignore[call-arg, arg-type]
        response = value if isinstance(value, FlaskResponse) else self.make_response(value)
        # Flask keeps what `after_this_request` has registered to itself. Should it do so elsewhere, it is asked.
        if self.after_request_funcs or getattr(current, "_after_request_functions", True):
            response = self.process_response(*context, response)  # type: ignore[call-arg, arg-type]
        return response

    def do_teardown_request(self, *arguments: "AppContext") -> None:  # type: ignore[override]
        """Calls what is registered for the end of a request."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*arguments)  # type: ignore[arg-type]

    def do_teardown_appcontext(self, *arguments: "AppContext") -> None:  # type: ignore[override]
        """Calls what is registered for the end of an application context."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(*arguments)  # type: ignore[arg-type]

    def _steps_of(self, request: Request) -> _Steps | None:
        if self.url_value_preprocessors or not isinstance(self.session_interface, _NoSessions):
            return None
        assert request.endpoint is not None  # noqa: S101 - for the type checkers
        view = self.view_functions[request.endpoint]
        names = None, *reversed(request.blueprints)
        before = [
            function for name in names for function in self.before_request_funcs.get(name, ())
        ]
        if any(map(iscoroutinefunction, (view, *before))):
            return None
        of_view, views = getattr(view, "by_method", (None, {}))
        return _Steps(tuple(before), views if of_view is view else dict.fromkeys(METHODS, view))
