"""Flask, without what this service does not use, and with the router that its names need.

Each override is there for a figure in docs/performance.md.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from ccs_server.api.body import BodyRequest, current_request, leave_no_body
from ccs_server.api.exchanges import Exchanges
from ccs_server.api.protection import protected
from ccs_server.api.routing import (
    METHODS,
    Match,
    NameConverter,
    Routes,
    read_path,
    without_slash,
)


class _NoSessions(SessionInterface):
    """There are no cookies here, so one empty session serves every request."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:  # noqa: ARG002
        return self._session


class Application(Flask):
    """The service's Flask: no sessions, no async views, routes as `routing` says, every exchange recorded."""

    request_class = BodyRequest
    session_interface = _NoSessions()

    def __init__(self, import_name: str, exchanges: Exchanges, *, url_limit: int) -> None:
        super().__init__(import_name, static_folder=None)
        self.url_map.merge_slashes = False
        self.url_map.converters["name"] = NameConverter
        self._exchanges = exchanges
        self._url_limit = url_limit
        self._routes: Routes | None = None

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Views are never coroutines."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | Match | None:  # type: ignore[override]
        """What finds the request's view: its Match where that is known at once."""
        if request is None:
            return super().create_url_adapter(None)
        environ = request.environ
        path = read_path(environ, self._url_limit)
        if self._routes is None:
            self._routes = Routes(self.url_map.iter_rules())
        method = environ["REQUEST_METHOD"]
        match = self._routes.match(method, path)
        if match is not None:
            return match
        # Flask makes one of every request.
        adapter = cast("MapAdapter", super().create_url_adapter(request))
        adapter.path_info = without_slash(path)
        if method not in METHODS:
            # Werkzeug would take `get` for GET.
            allowed = list(adapter.allowed_methods())
            raise MethodNotAllowed(allowed) if allowed else NotFound
        return adapter

    def full_dispatch_request(self) -> Response:
        """From a request with a route to its answer: the blueprint's checks, the view, whatever error they raise."""
        request = current_request()
        rule = request.url_rule
        if rule is None or request.method == "OPTIONS":
            return super().full_dispatch_request()
        try:
            for check in self.before_request_funcs.get(request.blueprint, ()):
                check()
            answer: Any = self.view_functions[rule.endpoint](**(request.view_args or {}))
        except Exception as error:  # noqa: BLE001 - Flask answers it, and raises it again if nothing does
            answer = self.handle_user_exception(error)
        # Views and error handlers of this service answer with Responses; what Flask would make of others, it makes.
        return self._finish(
            request, answer if isinstance(answer, Response) else self.make_response(answer)
        )

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Nothing is registered for the end of a request."""

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Nor for that of its context."""

    def process_response(self, response: Response) -> Response:
        """The last step of every request, whatever became of it."""
        return self._finish(current_request(), response)

    def _finish(self, request: Request, response: Response) -> Response:
        if self.after_request_funcs:
            response = super().process_response(response)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            leave_no_body(request, response)
        self._exchanges.add(request, response)
        return response

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Notes when the request began, and protects its answer."""
        environ["ccs.started"] = perf_counter()
        answer: Iterable[bytes] = super().wsgi_app(environ, protected(environ, start_response))
        return answer
