"""A receiver of webhooks, as a user would write it: it notes what it is sent, and responds as told."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from standardwebhooks import Webhook

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Delivery:
    """A request that was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads(self.body)["data"]["events"]
        return events

    @property
    def names(self) -> list[str]:
        """The properties that it is about."""
        return [event["name"] for event in self.events]

    def verify(self, secret: str) -> Any:
        """Verifies it with the standard's own library, which raises an exception if it is not signed by the secret."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """A running receiver.

    Attributes:
        port: its port.
        received: what it was sent, in order.
        respond: returns the bytes of the response to a request; by default, those of 204.
        is_closing: is set at its end.
    """

    port: int = 0
    received: list[Delivery] = field(default_factory=list)
    respond: Callable[[Delivery], bytes] = lambda _: OK
    is_closing: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    @property
    def names(self) -> list[str]:
        """The properties that all it was sent is about, in order."""
        return [name for delivery in self.received for name in delivery.names]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A sender that leaves is no error."""


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Runs a receiver on a free port of 127.0.0.1 for the length of the block; with TLS if there is a context."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # a sender that was killed has sent a part, which is no request
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            delivery = Delivery(self.path, headers, body)
            receiver.received.append(delivery)
            response = receiver.respond(delivery)
            self.wfile.write(response)
            self.close_connection = not response.endswith(OK)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.is_closing.set()
            server.shutdown()
            thread.join()
