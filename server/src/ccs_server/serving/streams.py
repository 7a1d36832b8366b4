"""Responses that go on: their way to the client, without a thread and without a slot.

The HTTP server takes a part of a response at once while there is room for it, and otherwise says that it is pending.
It says that the client has left when the request is read to its end and past that.
"""

from asyncio import CancelledError
from threading import Event
from typing import Any

from ccs_server.serving.exchange import BodyFuture, Channel

_GONE = "http.disconnect"


class ChannelSink:
    """A `Sink` over the HTTP server's end of a request whose body was read."""

    def __init__(self, channel: Channel, ending: Event) -> None:
        self._channel = channel
        self._ending = ending
        self._pending: BodyFuture | None = None
        self._is_closed = False
        self._leaving: BodyFuture | None = None
        self._watch()

    @property
    def is_ready(self) -> bool:  # noqa: D102 - as the protocol has it
        return self._pending is None or self._pending.done()

    @property
    def is_closed(self) -> bool:  # noqa: D102
        return self._is_closed

    @property
    def is_ending(self) -> bool:  # noqa: D102
        return self._ending.is_set()

    def send(self, data: bytes) -> None:  # noqa: D102
        taken: Any = self._channel.send(
            {"type": "http.response.body", "body": data, "more_body": True}
        )
        # What was taken at once can be awaited, but has no state.
        self._pending = taken if hasattr(taken, "done") else None

    def close(self) -> None:  # noqa: D102
        self._is_closed = True
        for future in (self._pending, self._leaving):
            if future is not None:
                future.cancel()
        self._channel.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _watch(self) -> None:
        """Learns from the HTTP server when the client leaves."""
        while not self._is_closed:
            self._leaving = future = self._channel.receive()
            if not future.done():
                future.add_done_callback(self._look)
                return
            self._note(future)

    def _look(self, future: BodyFuture) -> None:
        self._note(future)
        self._watch()

    def _note(self, future: BodyFuture) -> None:
        try:
            message = future.result()
        except CancelledError:
            self._is_closed = True
        else:
            self._is_closed = self._is_closed or message["type"] == _GONE
