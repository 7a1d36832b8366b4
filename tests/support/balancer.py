"""A small TCP balancer, as stands before instances of a service: bytes through, whoever listens."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from selectors import EVENT_READ, DefaultSelector
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import cast

# An instance that lets no new connection begin does not say so.
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
        """A connection to the next instance that takes one."""
        for _ in range(2 * len(self._ports)):
            port = self._ports[next(self._turns) % len(self._ports)]
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
            except OSError:
                continue
        raise ConnectionRefusedError(f"Nobody listens on {self._ports}.")


class _Connection(BaseRequestHandler):
    """One client's connection and the one behind it; when either ends, both do."""

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
    """The URL of a balancer before the services on these ports; clients have gone when the block ends."""
    with _Balancer(ports) as balancer:
        thread = Thread(target=balancer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{balancer.server_address[1]}"
        finally:
            balancer.shutdown()
            thread.join()
