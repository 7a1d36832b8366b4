"""The listening socket: what becomes of connections when no new ones may begin."""

import socket
import sys
from contextlib import ExitStack

import pytest

from ccs_server.serving.listener import ListenError, address_of, listen, stop_accepting


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels cannot be told to")
def test_connections_that_have_begun_are_accepted_and_no_new_ones_begin() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener, socket.socket() as early, socket.socket() as late:
        early.connect(address_of(listener))
        stop_accepting(listener)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect(address_of(listener))
        early.sendall(b"sent before and after")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"sent before and after"
            accepted.sendall(b"answer")
            assert early.recv(100) == b"answer"
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - for a moment
def test_it_is_reached_at_an_address_of_this_machine(host: str) -> None:
    (listener,) = listen(host, 0)
    with listener:
        assert address_of(listener)[0] in {"127.0.0.1", "::1"}
        socket.create_connection(address_of(listener)).close()


def test_a_port_that_is_let_go_in_time_is_taken() -> None:
    (first,) = listen("127.0.0.1", 0)
    with first:
        host, port = address_of(first)
    (second,) = listen(host, port)
    with second:
        assert address_of(second) == (host, port)
        with pytest.raises(ListenError, match="is in use"):
            listen(host, port)


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not deal out connections")
def test_a_burst_of_connections_is_dealt_out_to_all_workers() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in listen("127.0.0.1", 0, 3)]
        for _ in range(60):
            stack.enter_context(socket.create_connection(address_of(listeners[0])))
        for listener in listeners:
            listener.settimeout(5)
            for _ in range(5):
                stack.enter_context(listener.accept()[0])


def test_a_port_with_several_listeners_is_in_use_too() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in listen("127.0.0.1", 0, 3)]
        with pytest.raises(ListenError, match="is in use"):
            listen(*address_of(listeners[0]), 3)
