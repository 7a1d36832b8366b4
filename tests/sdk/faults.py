"""A proxy between a client and the server that fails on the wire in the ways that networks do."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias


class Seen(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """An answer on its way back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One request on its way; a fault says what becomes of it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def proxy(self) -> "FaultProxy":
        assert isinstance(self.server, _Listener)
        return self.server.proxy

    def handle_one_request(self) -> None:
        with suppress(
            ConnectionError, TimeoutError
        ):  # the client went away, as some tests mean it to
            super().handle_one_request()

    def _handle(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.next_fault(Seen(self.command, self.path, dict(self.headers)))(self)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def forward(self) -> Answer:
        """Lets the server act, and reads its whole answer."""
        upstream = HTTPConnection("127.0.0.1", self.proxy.upstream_port, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(self.body)
            response = upstream.getresponse()
            # The connection to the client is our own affair.
            headers = {k: v for k, v in response.getheaders() if k.lower() != "connection"}
            return Answer(response.status, headers, response.read())
        finally:
            upstream.close()

    def send(self, answer: Answer, length: int | None = None) -> None:
        """Sends the answer, or its head and the first `length` bytes of its body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[:length])

    def reset(self) -> None:
        """Ends the connection with a TCP reset instead of an orderly close."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base has it
        """Says nothing."""


Fault: TypeAlias = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """No fault: the server's own answer."""
    exchange.send(exchange.forward())


def reset_before(exchange: Exchange) -> None:
    """The connection breaks before the server hears of the request."""
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """The server acts, and the connection breaks before its answer."""
    exchange.forward()
    exchange.reset()


def truncate(exchange: Exchange) -> None:
    """The answer's body ends in the middle."""
    whole = exchange.forward()
    exchange.send(whole, len(whole.body) // 2)
    exchange.close_connection = True


def say_nothing(exchange: Exchange) -> None:
    """The server acts, and its answer does not come for as long as the client waits."""
    exchange.forward()
    exchange.rfile.read(1)  # ends when the client hangs up
    exchange.close_connection = True


def stall(exchange: Exchange) -> None:
    """The answer's head and half of its body come, the rest does not for as long as the client waits."""
    whole = exchange.forward()
    exchange.send(whole, len(whole.body) // 2)
    exchange.wfile.flush()
    exchange.rfile.read(1)
    exchange.close_connection = True


def answer(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Something on the way answers instead of the server."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = Answer(status, {"Content-Length": str(len(body))} | named, body)
    return lambda exchange: exchange.send(whole)


class FaultProxy:
    """Listens on a port of its own; each request meets the next of `faults`, or none when they are used up."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self.connections = 0
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def next_fault(self, seen: Seen) -> Fault:
        self.seen.append(seen)
        return self.faults.popleft() if self.faults else pass_on

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.proxy = proxy

    def get_request(self) -> tuple[socket.socket, object]:
        self.proxy.connections += 1
        return super().get_request()
