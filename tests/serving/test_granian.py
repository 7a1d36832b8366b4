"""What `serving.workers` relies on in granian and granian does not document.

An upgrade of granian that changes any of it fails here first, and the test's name says what changed.
"""

import inspect
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread, current_thread, get_ident
from time import sleep
from typing import Any

import granian._granian as extension
import pytest
from granian._signals import set_sync_signals
from granian.http import HTTP1Settings
from granian.server.common import AbstractServer
from granian.server.mp import MPServer, WorkerProcess

from ccs_server.serving import workers
from ccs_server.serving.listener import BACKLOG, address_of, listen
from ccs_server.serving.streams import ChannelSink
from tests.support.waiting import wait_until

granian: Any = extension


class Served:
    """Granian's ASGI server in this process, with a scheduler of ours that notes what it is called with."""

    def __init__(self, address: tuple[str, int], threads: int) -> None:
        self.address = address
        self.threads = threads
        self.requests: SimpleQueue[Any] = SimpleQueue()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def next(self) -> Any:
        """The next request's watcher, with its scope and its protocol."""
        return self.requests.get(timeout=10)


def test_a_signal_that_interrupts_nothing_is_handled_all_the_same() -> None:
    """As one that arrives just before the main thread falls asleep. Here it goes to another thread instead."""
    event = workers._WakingEvent()
    assert not event.wait(0.001)
    handled: list[int] = []

    def handle(number: int, _: object) -> None:
        handled.append(number)
        event.set()

    previous = signal.signal(signal.SIGUSR2, handle)
    try:
        other = Thread(target=lambda: signal.pthread_kill(get_ident(), signal.SIGUSR2))
        other.start()
        assert event.wait()
        other.join()
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert handled == [signal.SIGUSR2]


@contextmanager
def serving(
    threads: int = 3,
    schedule: Callable[[Any], None] | None = None,
    replaced: Callable[[], None] | None = None,
) -> Iterator[Served]:
    (listener,) = listen("127.0.0.1", 0)
    address = address_of(listener)
    served = Served(address, threads)
    stop, ended = granian.WorkerSignal(), Event()
    if replaced:
        stop.add_cb(replaced)
    stop.add_cb(ended.set)
    # The descriptor is granian's from here on, which closes it.
    holder = granian.SocketHolder(listener.detach(), False, BACKLOG)  # noqa: FBT003
    server = granian.ASGIWorker(
        1, (None, holder), None, 1, 1, threads, 30, 100, "1", HTTP1Settings(), None, False, None,  # noqa: FBT003
        False, None, None, None, "tls1.3", None, [], False, (None, None),  # noqa: FBT003
    )  # fmt: skip
    loop = workers._NoLoop()
    scheduler = granian.CallbackScheduler(loop, None, None, None, None)
    scheduler._schedule_fn = schedule or served.requests.put
    server.serve_mtr(scheduler, loop, stop)
    try:
        yield served
    finally:
        stop.set()
        assert ended.wait(10)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


def respond(watcher: Any, body: bytes = b"") -> None:
    watcher.proto.send({"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"b")]})
    watcher.proto.send({"type": "http.response.body", "body": body})


def receive(watcher: Any) -> dict[str, Any]:
    """The next part of the body, as it is brought by a thread of the pool."""
    brought: SimpleQueue[Any] = SimpleQueue()
    watcher.proto.receive().add_done_callback(brought.put)
    message: dict[str, Any] = brought.get(timeout=10).result()
    return message


def test_main_functions_of_workers_take_these_arguments() -> None:
    expected = list(inspect.signature(workers._serve).parameters)
    # The wrapper takes six arguments of its own in place of the first four.
    granians = list(inspect.signature(MPServer._spawn_asgi_worker).parameters)
    assert len(granians) == len(expected)
    assert granians[5:] == [
        "runtime_mode", "runtime_threads", "runtime_blocking_threads", "blocking_threads",
        "blocking_threads_idle_timeout", "backpressure", "task_impl", "http_mode", "http1_settings", "http2_settings",
        "websockets", "static_path", "log_access_fmt", "ssl_ctx", "scope_opts", "metrics",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "method",
    ["_spawn_worker", "_init_shared_socket", "signal_handler_reload", "signal_handler_interrupt", "shutdown", "serve"],
)  # fmt: skip
def test_the_server_has_the_methods_that_are_overridden_or_called(method: str) -> None:
    assert callable(getattr(MPServer, method))
    assert callable(WorkerProcess.wrap_target)
    assert callable(set_sync_signals)


def test_the_main_loop_waits_for_the_event_that_is_replaced() -> None:
    source = inspect.getsource(MPServer._serve_loop)
    assert "self.main_loop_interrupt.wait()" in source
    assert "self.main_loop_interrupt = threading.Event()" in inspect.getsource(AbstractServer)


def test_a_head_is_told_as_it_was_sent(served: Served) -> None:
    with served.connect() as client:
        client.sendall(
            b"get /%C3%A9%2F?q=%20 HTTP/1.1\r\nHost: ccs\r\nmaven_api_key: a\r\nMaven-Api-Key: b\r\n\r\n"
        )
        watcher = served.next()
        scope = watcher.scope
        assert scope["method"] == "get"
        assert scope["raw_path"] == b"/%C3%A9%2F"
        assert scope["query_string"] == b"q=%20"
        assert scope["http_version"] == "1.1"
        assert scope["scheme"] == "http"
        assert scope["client"][0] == "127.0.0.1"
        assert scope["server"] == (served.address[0], str(served.address[1]))
        assert scope["headers"] == [
            (b"host", b"ccs"), (b"maven_api_key", b"a"), (b"maven-api-key", b"b"),
        ]  # fmt: skip
        respond(watcher)


def test_a_missing_host_is_an_empty_one_and_two_are_two(served: Served) -> None:
    for head, hosts in ((b"", [b""]), (b"Host: a\r\nHost: b\r\n", [b"a", b"b"])):
        with served.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + head + b"\r\n")
            watcher = served.next()
            assert [value for name, value in watcher.scope["headers"] if name == b"host"] == hosts
            respond(watcher)


def test_a_response_may_be_sent_from_any_thread(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
        respond(served.next(), b"body")
        response = client.recv(1000)
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"x-a: b\r\n" in response
        assert response.endswith(b"\r\n\r\nbody")


def test_parts_of_a_body_are_brought_by_calls_and_hold_no_thread(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: ccs\r\nContent-Length: 4\r\n\r\n")
        watcher = served.next()
        future = watcher.proto.receive()
        assert not future.done()
        brought: SimpleQueue[Any] = SimpleQueue()
        future.add_done_callback(lambda done: brought.put((done, current_thread().name)))
        # As many bodies as there are threads, and one more, keep nobody from being served.
        others = [served.connect() for _ in range(served.threads)]
        for other in others:
            other.sendall(b"PUT / HTTP/1.1\r\nHost: ccs\r\nContent-Length: 4\r\n\r\n")
            served.next().proto.receive()
        client.sendall(b"abcd")
        done, thread = brought.get(timeout=10)
        assert done.result() == {"type": "http.request", "body": b"abcd", "more_body": True}
        assert thread != current_thread().name
        respond(watcher)
        for other in others:
            other.close()


def test_the_end_of_chunks_is_told_from_a_body_that_broke_off(served: Served) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: ccs\r\nTransfer-Encoding: chunked\r\n\r\n"
    for sent, types in (
        (b"1\r\na\r\n0\r\n\r\n", ["http.request", "http.request"]),
        (b"1\r\na\r\nZZ\r\n", ["http.request", "http.disconnect"]),
        (b"1\r\na\r\n", ["http.request", "http.disconnect"]),
    ):
        with served.connect() as client:
            client.sendall(head + sent)
            client.shutdown(socket.SHUT_WR)
            watcher = served.next()
            parts = [receive(watcher), receive(watcher)]
            assert [part["type"] for part in parts] == types
            assert parts[1].get("more_body", False) is False
            respond(watcher)


def test_waiting_for_a_body_can_be_ended(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: ccs\r\nContent-Length: 4\r\n\r\n")
        watcher = served.next()
        brought: SimpleQueue[Any] = SimpleQueue()
        future = watcher.proto.receive()
        future.add_done_callback(brought.put)
        assert future.cancel()
        assert brought.get(timeout=10).cancelled()
        respond(watcher)


def send_part(watcher: Any, body: bytes, *, more: bool = True) -> Any:
    return watcher.proto.send({"type": "http.response.body", "body": body, "more_body": more})


def begin_stream(watcher: Any) -> None:
    watcher.proto.send({"type": "http.response.start", "status": 200, "headers": []})
    assert not hasattr(send_part(watcher, b"one"), "done"), "a part that was taken has no state"


def test_parts_of_a_response_are_sent_as_they_come(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
        watcher = served.next()
        begin_stream(watcher)
        wait_until(lambda: client.recv(1000).endswith(b"3\r\none\r\n"))
        send_part(watcher, b"two")
        assert client.recv(1000) == b"3\r\ntwo\r\n"
        send_part(watcher, b"", more=False)
        assert client.recv(1000) == b"0\r\n\r\n"


def test_a_part_that_the_client_does_not_take_is_pending(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
        watcher = served.next()
        begin_stream(watcher)
        pending = None
        for _ in range(1000):
            sent = send_part(watcher, b"x" * 100_000)
            if hasattr(sent, "done"):
                pending = sent
                sleep(0.01)
                if not pending.done():
                    break
        assert pending is not None
        assert not pending.done()
        sink = ChannelSink(watcher.proto, Event())
        sink._pending = pending
        assert not sink.is_ready

        def take() -> bool:
            client.recv(1 << 20)
            return sink.is_ready

        wait_until(take)
        sink.close()


def test_a_client_that_leaves_a_response_that_goes_on_is_noticed(served: Served) -> None:
    client = served.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
    watcher = served.next()
    begin_stream(watcher)
    sink = ChannelSink(watcher.proto, Event())
    sink.send(b"two")
    sleep(0.1)
    assert not sink.is_closed
    client.close()
    wait_until(lambda: sink.is_closed)


def test_a_stop_calls_the_callback_that_was_added_last() -> None:
    replaced = Event()
    with serving(replaced=replaced.set) as served, served.connect():
        pass
    assert not replaced.is_set()


def test_a_request_whose_watcher_is_done_is_a_server_error() -> None:
    with serving(schedule=lambda watcher: watcher.done()) as served, served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 500 ")


def test_requests_are_brought_by_as_many_threads_as_the_pool_has() -> None:
    barrier_names: SimpleQueue[str] = SimpleQueue()
    release = Event()

    def schedule(watcher: Any) -> None:
        barrier_names.put(current_thread().name)
        release.wait(10)
        respond(watcher)

    with serving(threads=3, schedule=schedule) as served:
        clients = [served.connect() for _ in range(3)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: ccs\r\n\r\n")
        assert len({barrier_names.get(timeout=10) for _ in clients}) == len(clients)
        release.set()
        for client in clients:
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            client.close()
