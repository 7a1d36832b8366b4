"""A proxy in front of the cluster's Unix socket, which can stop forwarding in the middle of an answer."""

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
    """Forwards what clients and server say; of what the server says, the last `withheld` bytes of each piece stay."""

    url: str
    target: str
    withheld: int = 0

    def serve(self, listener: socket.socket) -> None:
        """Serves connections, until the listener is shut down."""
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
            answers = Thread(target=self._forward_answers, args=(server, client))
            answers.start()
            while said := client.recv(_PIECE):
                server.sendall(said)
            server.shutdown(socket.SHUT_WR)
            answers.join()

    def _forward_answers(self, server: socket.socket, client: socket.socket) -> None:
        while said := server.recv(_PIECE):
            client.sendall(said[: len(said) - self.withheld])


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """A proxy for the database at `url`, whose own URL leads through it. Close what is connected before the end."""
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
