"""A proxy between a client and the server that injects network faults."""

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias


class SeenRequest(NamedTuple):
    """A request that the proxy received."""

    method: str
    path: str
    headers: Mapping[str, str]


class Response(NamedTuple):
    """A response, of the server or of the proxy."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One request and its response, handled by the next fault."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def proxy(self) -> "FaultProxy":
        assert isinstance(self.server, _Listener)
        return self.server.proxy

    def handle_one_request(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # some tests make the client disconnect
            super().handle_one_request()

    def _handle(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.next_fault(SeenRequest(self.command, self.path, dict(self.headers)))(self)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def forward(self) -> Response:
        """Forwards the request to the server and returns its complete response."""
        upstream = HTTPConnection("127.0.0.1", self.proxy.upstream_port, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(self.body)
            response = upstream.getresponse()
            # The proxy manages its connection to the client itself.
            headers = {k: v for k, v in response.getheaders() if k.lower() != "connection"}
            return Response(response.status, headers, response.read())
        finally:
            upstream.close()

    def stream(self, parts: int = 1_000_000) -> None:
        """Forwards the request, and passes the response on as it comes, until one side leaves or after some parts."""
        upstream = HTTPConnection("127.0.0.1", self.proxy.upstream_port, timeout=30)
        self.close_connection = True
        with closing(upstream):
            upstream.request(self.command, self.path, headers=dict(self.headers.items()))
            response = upstream.getresponse()
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                self.send_header(name, value)
            self.end_headers()
            while parts and (part := response.read1(65_536)):
                parts -= 1
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

    def send(self, response: Response, length: int | None = None) -> None:
        """Sends the response, or its head and the first `length` bytes of its body."""
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[:length])

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
        """Logs nothing."""


Fault: TypeAlias = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """Forwards the request and the response, without a fault."""
    if exchange.headers.get("Accept") == "text/event-stream":
        exchange.stream()
    else:
        exchange.send(exchange.forward())


def reset_before(exchange: Exchange) -> None:
    """Resets the connection without forwarding the request."""
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """Forwards the request, and resets the connection instead of responding."""
    exchange.forward()
    exchange.reset()


def truncate(exchange: Exchange) -> None:
    """Closes the connection in the middle of the response's body."""
    whole = exchange.forward()
    exchange.send(whole, len(whole.body) // 2)
    exchange.close_connection = True


def never_respond(exchange: Exchange) -> None:
    """Forwards the request, and does not respond as long as the client waits."""
    exchange.forward()
    exchange.rfile.read(1)  # returns when the client disconnects
    exchange.close_connection = True


def stall(exchange: Exchange) -> None:
    """Sends the response's head and half of its body, and no more as long as the client waits."""
    whole = exchange.forward()
    exchange.send(whole, len(whole.body) // 2)
    exchange.wfile.flush()
    exchange.rfile.read(1)
    exchange.close_connection = True


def cut_stream(parts: int) -> Fault:
    """Returns a fault that ends the connection after so many parts of an event stream."""
    return lambda exchange: exchange.stream(parts)


def respond(status: int, body: bytes = b"", **headers: str) -> Fault:
    """Returns a fault that responds instead of the server, as a proxy or portal would."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = Response(status, {"Content-Length": str(len(body))} | named, body)
    return lambda exchange: exchange.send(whole)


class FaultProxy:
    """A proxy on a port of its own. Each request gets the next of `faults`; without any, it is forwarded."""

    def __init__(self, upstream_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.upstream_port = upstream_port
        self.faults: deque[Fault] = deque()
        self.seen: list[SeenRequest] = []
        self.connections = 0
        self._listener = _Listener(self)
        if tls is not None:
            self._listener.socket = tls.wrap_socket(self._listener.socket, server_side=True)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def next_fault(self, seen: SeenRequest) -> Fault:
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
