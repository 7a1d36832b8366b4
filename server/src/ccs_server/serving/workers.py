"""Granian's worker processes: how they serve, and how they end without losing a request.

This is the only module that touches what granian does not document; `tests/serving/test_granian.py` holds each thing
that it relies on, so that an upgrade fails there first. The version is bound in pyproject.toml.

**Serving.** Workers run granian's ASGI server without an event loop. Granian calls its scheduler in a thread of its
pool for each request; ours is the dispatcher, which runs the WSGI application in that thread. Unlike granian's WSGI
server, its ASGI server tells header names as they were sent, the path before it was decoded, and a body that broke
off from one that is complete; and no thread waits for a body, since its parts are brought by calls of their own.

**Shutdown.** Granian (2.8) closes the listener and the idle connections of a worker as soon as it is asked to stop.
Both lose requests: those in the listener's queue, and those that clients are sending on idle connections. So we own the
listeners, and a shutdown has four steps:

1. For `drain_time`, workers send `Connection: close` with every response, and /readyz is 503: clients and proxies
   move to other instances. Responses that go on (event streams) end.
2. No new connection may begin (`stop_accepting`); those that have begun are accepted and served.
3. The workers are told to end: they finish the requests at hand and close the connections that are idle.
4. Whatever still runs after three quarters of `shutdown_timeout` is killed: the rest is for the database.
"""

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from threading import Event, Thread
from time import sleep
from typing import Any
from wsgiref.types import WSGIApplication

from granian import _granian
from granian._signals import set_sync_signals
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from ccs_server.http.log import logging_of
from ccs_server.serving.connections import keep_closing
from ccs_server.serving.dispatcher import SLOTS, SLOTS_WITH_POOLER, Dispatcher, Policy
from ccs_server.serving.ending import Ending
from ccs_server.serving.listener import BACKLOG, address_of, stop_accepting
from ccs_server.serving.repeating import repeat
from ccs_server.serving.worker_metrics import (
    INTERVAL_SECONDS,
    ConnectionMetrics,
    OccupancyMetrics,
)
from ccs_server.settings import LogLevel, SettingError, Settings

# Ignored by processes that have no handler for it (yet), as a new worker.
_DRAIN_SIGNAL = signal.SIGURG

# For handshakes that have begun when no new ones may.
_HANDSHAKE_SECONDS = 0.1


# Granian reads a head into a buffer of this size, and refuses one that does not fit without a body. Its own limit
# is looser than ours, so that `CCS_HEADER_LIMIT` is exact and its refusal has our form.
_HEAD_MARGIN = 16_384

_log = logging.getLogger("ccs.workers")

# Granian's stubs leave out most of its extension.
_extension: Any = _granian

_WAKE_SECONDS = 0.5

# The part of CCS_SHUTDOWN_TIMEOUT that workers may take; the rest is for the database.
_WORKERS_PART = 0.75

# Of a worker, beside its connections to clients: to the database, its metrics, granian's own.
_OTHER_FILES = 100


class Workers(MPServer):
    """Worker processes, one for each listener, that serve an application which is made before they are forked.

    `service` is the WSGI application, the policy that goes with it, and what updates its metrics.

    A listener stays open when its worker fails: connections wait in its queue for the worker's successor.

    Raises:
        SettingError: the system does not allow as many connections as the settings.
    """

    def __init__(
        self,
        service: tuple[WSGIApplication, Policy, Callable[[], None]],
        listeners: Sequence[socket.socket],
        settings: Settings,
        ending: Ending,
        *,
        count: int,
    ) -> None:
        _allow_files(settings.connection_limit + _OTHER_FILES)
        host, port = address_of(listeners[0])
        # Granian says int and takes any number.
        kill_timeout: Any = settings.shutdown_timeout * _WORKERS_PART
        super().__init__(
            target="ccs",
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            workers=count,
            blocking_threads=1,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(settings.request_time * 1000),
                max_buffer_size=settings.header_limit + _HEAD_MARGIN,
            ),
            websockets=False,
            backlog=BACKLOG,
            # Granian says requests, but counts connections: those over it wait to be accepted.
            backpressure=settings.connection_limit,
            log_level=_granian_level(settings.log_level),
            log_dictconfig=logging_of(settings.log_level),
            respawn_failed_workers=True,
            workers_kill_timeout=kill_timeout,
        )
        self.main_loop_interrupt = _WakingEvent()
        self._service = service
        self._listeners = listeners
        self._settings = settings
        self._slots = SLOTS if settings.transaction_pooler == "off" else SLOTS_WITH_POOLER
        self._ending = ending
        self._lifeline = os.pipe()

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or SIGHUP, or until workers fail again and again.

        Raises:
            SystemExit: with code 1 where workers have failed.
        """
        self.serve(spawn_target=_serve, target_loader=self._prepare_in_worker, wrap_loader=False)

    def count_alive(self) -> int:
        """How many workers are alive. Any thread may ask: it looks at them without waiting for them as a parent."""
        sentinels = [worker.inner.sentinel for worker in list(self.wrks)]
        return len(sentinels) - len(wait(sentinels, timeout=0))

    @property
    def is_ending(self) -> bool:
        """Whether the service was told to end."""
        return bool(self.interrupt_signal)

    def _spawn_worker(self, idx: int, *args: Any, **options: Any) -> WorkerProcess:  # noqa: ANN401 - granian's own
        # Granian allows ASGI one thread, since an event loop would have no use for more; we have.
        # While all slots are taken, one thread takes in what arrives, to queue it.
        self.blocking_threads = self._slots + 1
        self._shd = self._handles[idx % len(self._handles)]
        return super()._spawn_worker(idx, *args, **options)

    def _prepare_in_worker(self) -> Dispatcher:
        # Until granian sets its own handler, the supervisor's is inherited, which would ignore the signal.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A terminal sends ^C to the whole group, but the supervisor alone decides when workers end.
        os.setpgid(0, 0)
        _schedule_as_batch()
        follow_parent(*self._lifeline)
        settings = self._settings
        keep_closing(
            self._listeners[0],
            limit=settings.connection_limit,
            request_time=settings.request_time,
            stop=Event(),
            watcher=ConnectionMetrics(settings.connection_limit),
        )
        app, policy, update_metrics = self._service
        dispatcher = Dispatcher(
            app,
            policy,
            slots=self._slots,
            queue_length=settings.queue_length,
            queue_time=settings.queue_time,
            request_time=settings.request_time,
            header_limit=settings.header_limit,
        )
        occupancy = OccupancyMetrics(self._slots, dispatcher.look)

        def update() -> None:
            occupancy.update()
            update_metrics()

        repeat(update, seconds=INTERVAL_SECONDS, stop=Event(), name="worker-metrics")

        signal.signal(_DRAIN_SIGNAL, lambda *_: dispatcher.drain())
        return dispatcher

    def _init_shared_socket(self) -> None:
        # Granian's stubs do not know this attribute's type.
        self._shd: Any
        self._handles = [
            _extension.SocketHolder(listener.fileno(), False, BACKLOG)  # noqa: FBT003
            for listener in self._listeners
        ]
        self._sso = None

    def signal_handler_reload(self, *_: object) -> None:
        """There is nothing to reload: the environment of a process does not change. A lost terminal ends it."""
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """Stops the workers in the four steps above."""
        self._ending.ask()
        for worker in self.wrks:
            if worker.is_alive():
                os.kill(worker.inner.pid, _DRAIN_SIGNAL)
        sleep(self._settings.drain_time)
        for listener in self._listeners:
            stop_accepting(listener)
        sleep(_HANDSHAKE_SECONDS)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


class _WakingEvent(Event):
    """An event whose waiter runs signal handlers now and then.

    A signal that arrives just before the main thread falls asleep interrupts nothing, and its handler would not run
    until something else wakes that thread: a stop that was asked for then would never come.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is set; returns whether it is."""
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(_WAKE_SECONDS):
            pass
        return True


class _NoLoop:
    """What granian takes for an event loop: whatever it wants done soon is done at once, by the thread that asks."""

    def call_soon(self, callback: Callable[..., object], *args: object, **_: object) -> None:
        """Calls `callback`; its context does not matter."""
        callback(*args)

    call_soon_threadsafe = call_soon


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def _serve(  # noqa: PLR0913, PLR0917 - granian's parameters, in its order
    worker_id: int,
    dispatcher: Dispatcher,
    sockets: Any,  # noqa: ANN401
    ipc: Any,  # noqa: ANN401
    _loop: object,
    _runtime_mode: object,
    runtime_threads: int,
    runtime_blocking_threads: int,
    threads: int,
    threads_idle_timeout: int,
    backpressure: int,
    _task_impl: object,
    http_mode: HTTPModes,
    http1_settings: HTTP1Settings,
    http2_settings: object,
    websockets: bool,  # noqa: FBT001
    static_path: object,
    _log_access: object,
    tls: tuple[Any, ...],
    _scope_options: object,
    metrics: object,
) -> None:
    """The main function of a worker process: serves until a signal ends it."""
    ended = _WakingEvent()
    stop = set_sync_signals()

    def end() -> None:
        dispatcher.end_streams()
        ended.set()

    # There is one callback only.
    stop.add_cb(end)
    server = _extension.ASGIWorker(
        worker_id, sockets, ipc, runtime_threads, runtime_blocking_threads, threads, threads_idle_timeout,
        backpressure, http_mode, http1_settings, http2_settings, websockets, static_path, *tls, metrics,
    )  # fmt: skip
    loop = _NoLoop()
    scheduler = _extension.CallbackScheduler(loop, dispatcher, None, None, None)
    scheduler._schedule_fn = _schedule(dispatcher)  # noqa: SLF001
    dispatcher.bodies.keep_cutting_off(ended)
    server.serve_mtr(scheduler, loop, stop)
    ended.wait()


def _schedule(dispatcher: Dispatcher) -> Callable[[Any], None]:
    """What granian calls for each request. It ignores what is returned, and must not meet an exception."""

    def schedule(watcher: Any) -> None:  # noqa: ANN401 - a class of granian's extension
        try:
            dispatcher(watcher.scope, watcher.proto)
        except BaseException:  # noqa: BLE001
            _log.exception("A request could not be dispatched.")
            watcher.done()

    return schedule


def _granian_level(level: LogLevel) -> LogLevels:
    """Granian's log level. `ccs serve` itself logs what granian calls information."""
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


def _schedule_as_batch() -> None:
    """A thread that wakes does not preempt the one that runs: fewer switches, an eighth less CPU a request."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def follow_parent(read_end: int, write_end: int) -> None:
    """Ends this process, and its event streams, when its parent has died: that alone holds the pipe's write end."""
    os.close(write_end)

    def wait() -> None:
        os.read(read_end, 1)
        # A stream would keep the process from ending for as long as its client stays.
        os.kill(os.getpid(), _DRAIN_SIGNAL)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="follow-parent", daemon=True).start()
