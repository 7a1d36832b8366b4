"""A proxy in front of the cluster's Unix socket that can withhold part of a response, or end a connection."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from sqlalchemy import make_url

_NAME = ".s.PGSQL.5432"
_PIECE = 1 << 16


@dataclass
class Proxy:
    """Forwards data in both directions, with faults.

    The last `withheld` bytes of each piece from the server are withheld. A connection ends when its client sends data
    that contains `fatal`.
    """

    url: str
    target: str
    withheld: int = 0
    fatal: bytes | None = None

    def serve(self, listener: socket.socket) -> None:
        """Serves connections until the listener is shut down."""
        threads = []
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                break
            threads.append(Thread(target=self._forward, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self.target)
            responses = Thread(target=self._forward_responses, args=(server, client))
            responses.start()
            while data := client.recv(_PIECE):
                if self.fatal is not None and self.fatal in data:
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            responses.join()

    def _forward_responses(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(_PIECE):
            client.sendall(data[: len(data) - self.withheld])


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """Runs a proxy in front of the database at `url`. Connections must be closed before the block ends."""
    location = make_url(url)
    with (
        tempfile.TemporaryDirectory(prefix="ccs-proxy-") as directory,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(f"{directory}/{_NAME}")
        listener.listen()
        own = location.update_query_dict({"host": directory})
        proxy = Proxy(
            own.render_as_string(hide_password=False), f"{location.query['host']}/{_NAME}"
        )
        server = Thread(target=proxy.serve, args=(listener,))
        server.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
