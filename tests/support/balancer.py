"""A small TCP load balancer in front of instances of a service."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from selectors import EVENT_READ, DefaultSelector
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import cast

# An instance that accepts no connections may not refuse them, so connecting needs a timeout.
_CONNECT_SECONDS = 0.3
_CHUNK_BYTES = 65536


class _Balancer(ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self._ports = ports
        self._turns = count()

    def connect(self) -> socket.socket:
        """Returns a connection to the next instance that accepts one."""
        for _ in range(2 * len(self._ports)):
            port = self._ports[next(self._turns) % len(self._ports)]
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
            except OSError:
                continue
        raise ConnectionRefusedError(f"No process listens on {self._ports}.")


class _Connection(BaseRequestHandler):
    """A client's connection and its connection to an instance. When one ends, both are closed."""

    def handle(self) -> None:
        with cast("_Balancer", self.server).connect() as behind, DefaultSelector() as selector:
            selector.register(self.request, EVENT_READ, behind)
            selector.register(behind, EVENT_READ, self.request)
            while True:
                for key, _ in selector.select():
                    try:
                        data = cast("socket.socket", key.fileobj).recv(_CHUNK_BYTES)
                        key.data.sendall(data)
                    except OSError:
                        return
                    if not data:
                        return


@contextmanager
def balancing(ports: Sequence[int]) -> Iterator[str]:
    """Runs a balancer in front of these ports. Yields its URL. Clients must disconnect before the block ends."""
    with _Balancer(ports) as balancer:
        thread = Thread(target=balancer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{balancer.server_address[1]}"
        finally:
            balancer.shutdown()
            thread.join()
