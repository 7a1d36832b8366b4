"""Reads an event stream (Server-Sent Events) as it comes.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from typing import Final, NamedTuple

CONTENT_TYPE: Final = "text/event-stream"

SILENCE_SECONDS: Final = 20.0
"""A stream that is silent for so long has ended, or was never passed on: the service sends something every 15."""


class StreamEvent(NamedTuple):
    """An event of a stream, with what was sent."""

    id: str
    type: str
    data: bytes


class EventParser:
    """Finds the events in what comes, however it is cut into parts."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[StreamEvent]:
        """Returns the events that are complete with this part. Each has one line of data, as the service writes it."""
        *blocks, self._rest = (self._rest + part).split(b"\n\n")
        events: list[StreamEvent] = []
        for block in blocks:
            fields: dict[bytes, bytes] = {}
            for line in block.split(b"\n"):
                name, _, value = line.partition(b": ")
                fields[name] = value
            if b"id" in fields:
                kind, data = fields.get(b"event", b""), fields.get(b"data", b"")
                events.append(StreamEvent(fields[b"id"].decode(), kind.decode(), data))
        return events
