"""Granian's worker processes, on one listener, with an end that loses no request.

Granian (2.8) gives every worker a listener of its own, and a worker that is told to end closes its idle connections
at once. Both lose requests that are on their way: those of connections in a closed listener's queue, and those on
kept-alive connections whose clients do not know yet. So the end has four steps:

1. Workers say `Connection: close` with every answer and /readyz says 503, for `drain_time`: clients and proxies that
   are at work learn that they must go elsewhere, each by an answer.
2. No new connection may begin (`open_no_more`); those that have begun are accepted and served.
3. The workers are told to end: they finish the requests at hand and close the connections that are idle.
4. Whatever still runs after `shutdown_timeout` is killed.

The methods that are overridden here are granian's own, so its version is bound to 2.8 in pyproject.toml.
"""

import os
import signal
import socket
from collections.abc import Callable
from threading import Thread
from time import sleep
from typing import Any, cast
from wsgiref.types import WSGIApplication

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from ccs_server.api.draining import Drainable
from ccs_server.serving.listener import BACKLOG, address_of, open_no_more
from ccs_server.serving.logs import LOGGING
from ccs_server.settings import Settings

# A measured choice (docs/performance.md): more threads only wait for each other's interpreter lock.
_THREADS = 2

# Ignored by processes that have no handler for it (yet), as a new worker.
_DRAIN_SIGNAL = signal.SIGURG

# For handshakes that have begun when no new ones may.
_HANDSHAKE_SECONDS = 0.1


class Workers(MPServer):
    """Worker processes that serve the application that `load` makes in each of them."""

    def __init__(
        self,
        load: Callable[[], WSGIApplication],
        listener: socket.socket,
        settings: Settings,
        *,
        count: int,
    ) -> None:
        host, port = address_of(listener)
        super().__init__(
            target="ccs",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=count,
            blocking_threads=_THREADS,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            log_level=LogLevels.warning,
            log_dictconfig=LOGGING,
            respawn_failed_workers=True,
            workers_kill_timeout=settings.shutdown_timeout,
        )
        self._load = load
        self._listener = listener
        self._drain_time = settings.drain_time
        self._lifeline = os.pipe()

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or SIGHUP, or until workers fail again and again.

        Raises:
            SystemExit: with code 1 where workers have failed.
        """
        self.serve(target_loader=self._load_in_worker, wrap_loader=False)

    def _load_in_worker(self) -> WSGIApplication:
        # A terminal sends ^C to the whole group, but the supervisor alone decides when workers end.
        os.setpgid(0, 0)
        follow_parent(*self._lifeline)
        app = Drainable(self._load())
        signal.signal(_DRAIN_SIGNAL, app.drain)
        return app

    def _init_shared_socket(self) -> None:
        descriptor = self._listener.fileno()
        # Granian's stubs do not know these attributes' types, nor that of the Rust constructor.
        self._shd: Any = cast("Any", SocketHolder)(descriptor, False, BACKLOG)  # noqa: FBT003
        self._sfd: Any = descriptor
        self._sso = self._listener

    def signal_handler_reload(self, *_: object) -> None:
        """There is nothing to reload: the environment of a process does not change. A lost terminal ends it."""
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """Ends the workers in the four steps above."""
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, _DRAIN_SIGNAL)
        sleep(self._drain_time)
        open_no_more(self._listener)
        sleep(_HANDSHAKE_SECONDS)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def follow_parent(read_end: int, write_end: int) -> None:
    """Ends this process when its parent has ended without telling it: nobody else holds the pipe's write end."""
    os.close(write_end)

    def wait() -> None:
        os.read(read_end, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="follow-parent", daemon=True).start()
