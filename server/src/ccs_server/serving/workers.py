"""Granian's worker processes, with an end that loses no request.

Granian (2.8) closes the listener of a worker that is told to end, and its idle connections, at once. Both lose
requests that are on their way: those of connections in the listener's queue, and those on kept-alive connections
whose clients do not know yet. So the listeners are ours, and the end has four steps:

1. Workers say `Connection: close` with every answer and /readyz says 503, for `drain_time`: clients and proxies that
   are at work learn that they must go elsewhere, each by an answer.
2. No new connection may begin (`open_no_more`); those that have begun are accepted and served.
3. The workers are told to end: they finish the requests at hand and close the connections that are idle.
4. Whatever still runs after `shutdown_timeout` is killed.

The methods that are overridden here are granian's own, so its version is bound to 2.8 in pyproject.toml.
"""

import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from threading import Thread
from time import sleep
from typing import Any, cast
from wsgiref.types import WSGIApplication

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import mp
from granian.server.mp import MPServer, WorkerProcess

from ccs_server.api.draining import Drainable
from ccs_server.api.log import logging_of
from ccs_server.serving.admission import SEATS, THREADS, Admission
from ccs_server.serving.listener import BACKLOG, address_of, open_no_more
from ccs_server.serving.stalled import keep_cutting_off
from ccs_server.settings import LogLevel, SettingError, Settings

# Ignored by processes that have no handler for it (yet), as a new worker.
_DRAIN_SIGNAL = signal.SIGURG

# For handshakes that have begun when no new ones may.
_HANDSHAKE_SECONDS = 0.1


# Of a worker, beside its connections to clients: to the database, its metrics, granian's own.
_OTHER_FILES = 100


class Workers(MPServer):
    """Worker processes, one for each listener, that serve the application that `load` makes in each of them.

    A listener stays open when its worker fails: connections wait in its queue for the worker's successor.

    Raises:
        SettingError: the system does not allow as many connections as the settings.
    """

    def __init__(
        self,
        load: Callable[[], WSGIApplication],
        listeners: Sequence[socket.socket],
        settings: Settings,
        *,
        count: int,
    ) -> None:
        _allow_files(settings.connection_limit + _OTHER_FILES)
        host, port = address_of(listeners[0])
        super().__init__(
            target="ccs",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=count,
            blocking_threads=SEATS,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(settings.request_time * 1000),
                max_buffer_size=settings.header_limit,
            ),
            websockets=False,
            backlog=BACKLOG,
            # Granian says requests, but counts connections: those over it wait to be accepted.
            backpressure=settings.connection_limit,
            log_level=_granian_level(settings.log_level),
            log_dictconfig=logging_of(settings.log_level),
            respawn_failed_workers=True,
            workers_kill_timeout=settings.shutdown_timeout,
        )
        self._load = load
        self._listeners = listeners
        self._settings = settings
        self._lifeline = os.pipe()

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or SIGHUP, or until workers fail again and again.

        Raises:
            SystemExit: with code 1 where workers have failed.
        """
        self.serve(target_loader=self._load_in_worker, wrap_loader=False)

    def count_alive(self) -> int:
        """How many workers are alive. Any thread may ask: it looks at them without waiting for them as a parent."""
        sentinels = [worker.inner.sentinel for worker in list(self.wrks)]
        return len(sentinels) - len(wait(sentinels, timeout=0))

    @property
    def is_ending(self) -> bool:
        """Whether the service was told to end."""
        return bool(self.interrupt_signal)

    def _spawn_worker(self, idx: int, *args: Any, **options: Any) -> WorkerProcess:  # noqa: ANN401 - granian's own
        # Set this late because granian warns of so many: they are there to wait, and few are ever started.
        self.blocking_threads = THREADS
        self._shd = self._handles[idx % len(self._handles)]
        return super()._spawn_worker(idx, *args, **options)

    def _load_in_worker(self) -> Admission:
        # Until granian sets its own handler, the one of the supervisor is in force, which would swallow the signal.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A terminal sends ^C to the whole group, but the supervisor alone decides when workers end.
        os.setpgid(0, 0)
        _take_turns_calmly()
        follow_parent(*self._lifeline)
        keep_cutting_off(self._listeners[0], self._settings.request_time)
        app = Drainable(self._load())
        signal.signal(_DRAIN_SIGNAL, app.drain)
        # What granian would wrap an application in, in this process: Admission is called as that wrapper is.
        mp._wsgi_call_wrap = lambda admission, *_: admission  # type: ignore[attr-defined]  # noqa: SLF001
        return Admission(
            app, queue_length=self._settings.queue_length, queue_time=self._settings.queue_time
        )

    def _init_shared_socket(self) -> None:
        # Granian's stubs do not know these attributes' types, nor that of the Rust constructor.
        self._shd: Any
        self._handles = [
            cast("Any", SocketHolder)(listener.fileno(), False, BACKLOG)  # noqa: FBT003
            for listener in self._listeners
        ]
        self._sso = None

    def signal_handler_reload(self, *_: object) -> None:
        """There is nothing to reload: the environment of a process does not change. A lost terminal ends it."""
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """Ends the workers in the four steps above."""
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, _DRAIN_SIGNAL)
        sleep(self._settings.drain_time)
        for listener in self._listeners:
            open_no_more(listener)
        sleep(_HANDSHAKE_SECONDS)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def _granian_level(level: LogLevel) -> LogLevels:
    """Granian's part of the log: what it calls information is told by `ccs serve` itself."""
    return LogLevels.warning if level == "info" else LogLevels(level)


def _allow_files(count: int) -> None:
    """Lets each process have `count` files open: granian would try for ever to accept one connection too many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < count:
        raise SettingError(
            f"CCS_CONNECTION_LIMIT must be at most {hard - _OTHER_FILES} here; or raise the limit of open files."
        )
    if resource.RLIM_INFINITY != soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _take_turns_calmly() -> None:
    """Lets whoever runs finish when a thread of this process wakes: fewer switches, an eighth less CPU a request."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def follow_parent(read_end: int, write_end: int) -> None:
    """Ends this process when its parent has ended without telling it: nobody else holds the pipe's write end."""
    os.close(write_end)

    def wait() -> None:
        os.read(read_end, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="follow-parent", daemon=True).start()
