"""An application that is about to end asks its clients to go elsewhere."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import setup_testing_defaults

from ccs_server.http.draining import DRAINING, Draining

Headers = list[tuple[str, str]]


def _application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tells whether it is draining."""
    start_response("200 OK", [("X-Own", "1")])
    return [b"draining" if DRAINING in environ else b"serving"]


def _ask(app: WSGIApplication) -> tuple[Headers, bytes]:
    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    started: list[Headers] = []

    def start_response(_status: str, headers: Headers, _exc_info: object = None) -> object:
        started.append(headers)
        return None

    body = b"".join(app(environ, start_response))  # type: ignore[arg-type]
    [headers] = started
    return headers, body


def test_responses_ask_clients_to_close_their_connections() -> None:
    assert _ask(_application) == ([("X-Own", "1")], b"serving")
    assert _ask(Draining(_application)) == ([("X-Own", "1"), ("Connection", "close")], b"draining")
