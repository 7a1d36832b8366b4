"""Responses that go on after the application has returned: how an application hands one over.

A server that can carry such responses has `STREAMING` in its environment. The application then puts a function at
`STREAM`; the server sends the response's head, and calls that function with the way for the rest.
"""

from collections.abc import Callable
from typing import Protocol
from wsgiref.types import WSGIEnvironment

STREAMING = "ccs.streaming"
STREAM = "ccs.stream"


class Sink(Protocol):
    """The way of a response to its client. Any thread may use it, one at a time."""

    @property
    def is_ready(self) -> bool:
        """Whether the client has taken what was sent, as far as is known; nothing may be sent before."""

    @property
    def is_closed(self) -> bool:
        """Whether the client is gone."""

    @property
    def is_ending(self) -> bool:
        """Whether the service ends; the response must end too."""

    def send(self, data: bytes) -> None:
        """Sends a part of the response."""

    def close(self) -> None:
        """Ends the response."""


def can_stream(environ: WSGIEnvironment) -> bool:
    """Whether the server can carry a response that goes on."""
    return STREAMING in environ


def stream(environ: WSGIEnvironment, take: Callable[[Sink], None]) -> None:
    """Has the server call `take` once the head of the response is sent."""
    environ[STREAM] = take
