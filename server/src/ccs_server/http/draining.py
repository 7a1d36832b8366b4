"""How the service takes its leave: every answer asks the client to close the connection."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

ENDING = "The service is about to end; use another instance."

DRAINING = "ccs.draining"
"""Stands in the WSGI environment of requests that arrive while the service is about to end."""


class Drainable:
    """An application that passes every request on, and once `drain` was called asks clients to go elsewhere."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._draining = False

    def __call__(  # noqa: D102 - a WSGI application
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if not self._draining:
            return self._app(environ, start_response)
        environ[DRAINING] = True

        def start_last(
            status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None
        ) -> Callable[[bytes], object]:
            return start_response(status, [*headers, ("Connection", "close")], exc_info)

        return self._app(environ, start_last)

    def drain(self, *_: object) -> None:
        """From now on, ask clients to go elsewhere. Takes whatever a signal's handler is given."""
        self._draining = True
