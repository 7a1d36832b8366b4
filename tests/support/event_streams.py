"""A client of event streams (Server-Sent Events), as small as a browser's."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse, IncompleteRead
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.support.service import Account

SECONDS = 30.0


class StreamEvent(NamedTuple):
    """An event of a stream."""

    id: str
    type: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The property that it is about; the type if it is about none."""
        return str(self.data.get("name", self.type))


class EventStream:
    """An open stream.

    Attributes:
        status: the status of the response.
        headers: its headers.
        socket: the connection.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._response = HTTPResponse(connection, method="GET")
        self._response.begin()
        self._received = b""
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.getheaders()}

    def close(self) -> None:
        """Leaves the stream."""
        self._response.close()

    def read(self) -> bytes:
        """The rest of the response."""
        return self._response.read()

    def events(self) -> Iterator[StreamEvent]:
        """The events, until the stream ends or its connection does."""
        while text := self._next():
            fields = dict(line.split(": ", 1) for line in text.splitlines())
            if "id" in fields:
                yield StreamEvent(fields["id"], fields["event"], json.loads(fields["data"]))

    def _next(self) -> str | None:
        """The lines up to the next empty one; None at the end."""
        while b"\n\n" not in self._received:
            try:
                part = self._response.read1(1 << 20)
            except (IncompleteRead, ConnectionError):
                return None
            if not part:
                return None
            self._received += part
        text, _, self._received = self._received.partition(b"\n\n")
        return text.decode()

    def take(self, count: int) -> list[StreamEvent]:
        """The next `count` events that are more than a position."""
        found: list[StreamEvent] = []
        for event in self.events():
            if event.type != "position":
                found.append(event)
            if len(found) == count:
                break
        return found


@contextmanager
def event_stream(
    account: Account, *, headers: dict[str, str] | None = None, key: str | None = None, **query: Any
) -> Iterator[EventStream]:
    """Opens a stream of the account's changes for the length of the block; `key` is empty for none."""
    address = urlsplit(account.server_url)
    given = {"Accept": "text/event-stream"} | (headers or {})
    if key != "":
        given["maven-api-key"] = key or account.key
    text = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    target = f"/ext/v1/{account.id}/changes?{urlencode(query, doseq=True)}"
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: ccs\r\n{text}\r\n".encode())
        stream = EventStream(connection)
        try:
            yield stream
        finally:
            stream.close()
