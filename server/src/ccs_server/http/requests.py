"""Requests that are initialized when they are looked at."""

from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Request


class LazyRequest(Request):
    """A request of a WSGI environment.

    Most are handled by their environment alone. Werkzeug's own initialization, which takes a twentieth of the
    application's time for a request (docs/performance.md), waits for the first access to any other attribute.
    """

    def __init__(
        self,
        environ: WSGIEnvironment,
        populate_request: bool = True,  # noqa: FBT001, FBT002 - werkzeug's parameters
        shallow: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.environ = environ
        self._options = populate_request, shallow

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Initializes the request as werkzeug does, when an attribute is missing."""
        # A copy has no options until they are copied.
        if "headers" in self.__dict__ or "_options" not in self.__dict__:
            raise AttributeError(name)
        super().__init__(self.environ, *self._options)
        return getattr(self, name)

    def close(self) -> None:
        """Closes the files that the request has brought; nearly none brings any."""
        if "files" in self.__dict__:
            super().close()
