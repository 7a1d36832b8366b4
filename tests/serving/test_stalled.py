"""Which connections are cut off: those that have been sent nothing for too long, and no others."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ccs_server.serving.listener import address_of, listen
from ccs_server.serving.stalled import cut_off
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell")

LONG = 3600.0
SHORT = 0.05


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (listener,) = listen("127.0.0.1", 0)
    with listener:
        yield listener


@pytest.fixture
def connections(listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and the service's side of its connection."""
    with ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(address_of(listener), timeout=10))
        accepted, _ = listener.accept()
        yield client, stack.enter_context(accepted)


def test_a_connection_that_is_sent_nothing_is_cut_off_in_time(
    listener: socket.socket, connections: tuple[socket.socket, socket.socket]
) -> None:
    client, _ = connections
    assert cut_off(listener, LONG) == 0
    wait_until(lambda: cut_off(listener, SHORT) == 1)
    assert client.recv(1) == b""


def test_one_that_was_sent_something_just_now_is_left_alone(
    listener: socket.socket, connections: tuple[socket.socket, socket.socket]
) -> None:
    client, accepted = connections
    accepted.sendall(b"answer")
    assert cut_off(listener, LONG) == 0
    assert client.recv(6) == b"answer"
    client.sendall(b"request")
    assert accepted.recv(7) == b"request"


def test_connections_of_others_are_left_alone(listener: socket.socket) -> None:
    """The same process has connections that came in elsewhere, and such that it has made itself."""
    (other,) = listen("127.0.0.1", 0)
    with other, socket.create_connection(address_of(other), timeout=10) as client:
        accepted, _ = other.accept()
        with accepted:
            # Had the first been confused with this, the count would tell.
            wait_until(lambda: cut_off(other, SHORT) == 1)
            assert cut_off(listener, SHORT) == 0
            assert client.recv(1) == b""


def test_the_listener_itself_is_no_connection(listener: socket.socket) -> None:
    assert cut_off(listener, 0) == 0
    socket.create_connection(address_of(listener), timeout=10).close()
