"""A server for HTTP and Redis' protocol that responds, refuses, drops or drips as it is told, and records requests."""

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from io import BufferedRWPair

DIGITS = "12345678901234567890.123456789012345678901234567890"
BODY = (
    '{"id": "1", "object": "thing", "choices": [], "data": {"id": "1"},'
    f' "results": [{{"status": 200, "value": 1}}], "number": {DIGITS}}}'
)
REFUSAL = json.dumps(  # as several of the services would say it
    {"message": "refused", "error": {"message": "refused", "type": "invalid_request_error"}}
)
REQUEST_ID = "request-1"
NAMES_OF_REQUEST_ID = ("X-Request-ID", "Request-Id")
Stream: TypeAlias = "BufferedRWPair[Any, Any]"
DRIPS, DRIP_SECONDS = 12, 0.25


@dataclass(frozen=True)
class Seen:
    """A request: its method or command, its idempotency key, and the port of the connection that it came by."""

    method: str
    key: str | None
    port: int


@dataclass
class Server:
    """What to do with requests: `ok`, `drop`, `drip` or the status of an error; and what came."""

    behaviour: str = "ok"
    then: str | None = None
    retry_after: str | None = None
    seen: list[Seen] = field(default_factory=list[Seen])
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(
        self, behaviour: str, *, then: str | None = None, retry_after: str | None = None
    ) -> None:
        """Sets what to do with the next request, and `then` with those after it; forgets what came."""
        self.behaviour, self.then, self.retry_after = behaviour, then, retry_after
        self.seen = []

    def next(self, seen: Seen) -> str:
        self.seen.append(seen)
        behaviour, self.behaviour = self.behaviour, self.then or self.behaviour
        return behaviour


@contextmanager
def running() -> Generator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(port=listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        yield server


def _accept(listener: socket.socket, server: Server) -> None:
    while True:
        try:
            connection, (_, port) = listener.accept()
        except OSError:  # the listener is closed
            return
        threading.Thread(target=_converse, args=(connection, port, server), daemon=True).start()


def _converse(connection: socket.socket, port: int, server: Server) -> None:
    with connection, connection.makefile("rwb") as stream:
        try:
            while first := stream.readline():
                serve = _redis if first.startswith(b"*") else _http
                if not serve(first, stream, port, server):
                    return
        except OSError:  # the client has gone
            return


def _http(first: bytes, stream: Stream, port: int, server: Server) -> bool:
    lines = iter(stream.readline, b"\r\n")
    headers = BytesParser().parsebytes(b"".join(lines))
    stream.read(int(headers.get("Content-Length", 0)))
    method = first.decode().split()[0]
    behaviour = server.next(Seen(method, headers.get("Idempotency-Key"), port))
    if behaviour == "drop":
        return False
    error = behaviour.isdigit()
    body = REFUSAL if error else BODY
    more = f"Retry-After: {server.retry_after}\r\n" if error and server.retry_after else ""
    ids = "".join(f"{name}: {REQUEST_ID}\r\n" for name in NAMES_OF_REQUEST_ID)
    if method == "PUT" and not error:
        _send(stream, f"HTTP/1.1 204 No Content\r\n{ids}\r\n")
        return True
    status = f"{behaviour} Refused" if error else "200 OK"
    length = len(body) + (DRIPS if behaviour == "drip" else 0)
    _send(
        stream,
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{ids}{more}\r\n",
    )
    if behaviour == "drip":
        _drip(stream)
    _send(stream, body)
    return True


def _redis(first: bytes, stream: Stream, port: int, server: Server) -> bool:
    words: list[bytes] = []
    for _ in range(int(first[1:])):
        size = int(stream.readline()[1:])
        words.append(stream.read(size + 2)[:-2])
    command = words[0].decode().upper()
    if command == "HELLO":
        _send(stream, "%1\r\n$5\r\nproto\r\n:3\r\n")
    elif command == "CLIENT":
        _send(stream, "+OK\r\n")
    else:
        behaviour = server.next(Seen(command, None, port))
        if behaviour == "drop":
            return False
        if behaviour.isdigit():
            _send(stream, "-ERR refused\r\n")
        elif command == "INCR":
            _send(stream, ":1\r\n")
        else:
            text = DIGITS + " " * (DRIPS if behaviour == "drip" else 0)
            _send(stream, f"${len(text)}\r\n")
            if behaviour == "drip":
                _drip(stream)
            _send(stream, f"{DIGITS}\r\n")
    return True


def _drip(stream: Stream) -> None:
    for _ in range(DRIPS):
        _send(stream, " ")
        threading.Event().wait(DRIP_SECONDS)


def _send(stream: Stream, text: str) -> None:
    stream.write(text.encode())
    stream.flush()
