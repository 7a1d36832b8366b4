"""Draining before a shutdown: every response asks the client to close its connection."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

DRAINING = "ccs.draining"
"""A key in the WSGI environment of requests that arrive while the service drains."""


class Draining:
    """An application of a service that drains: its responses ask clients to close their connections."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(  # noqa: D102 - a WSGI application
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        environ[DRAINING] = True

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            return start_response(status, [*headers, ("Connection", "close")], exc_info)

        return self._app(environ, start)
