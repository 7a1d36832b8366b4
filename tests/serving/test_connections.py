"""Which connections are closed where there is no room, by what the kernel knows of them."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from time import sleep

import pytest

from ccs_server.serving.connections import close_stalled, make_room
from ccs_server.serving.listener import address_of, listen
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell")

PATIENCE = 3600.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def listener(stack: ExitStack) -> socket.socket:
    (listener,) = listen("127.0.0.1", 0)
    return stack.enter_context(listener)


class Pair:
    """A connection, from both its ends."""

    def __init__(self, listener: socket.socket, stack: ExitStack) -> None:
        self.client = stack.enter_context(socket.create_connection(address_of(listener)))
        self.server = stack.enter_context(listener.accept()[0])

    def says(self, request: bytes) -> None:
        self.client.sendall(request)
        assert self.server.recv(100) == request

    def answers(self, response: bytes) -> None:
        self.server.sendall(response)
        assert self.client.recv(100) == response

    @property
    def is_closed(self) -> bool:
        self.client.settimeout(0)
        try:
            return self.client.recv(1) == b""
        except BlockingIOError:
            return False


def test_nothing_is_closed_while_there_is_room(listener: socket.socket, stack: ExitStack) -> None:
    pair = Pair(listener, stack)
    assert make_room(listener, 2, PATIENCE) == 0
    assert not pair.is_closed


def test_those_that_have_said_nothing_go_first(listener: socket.socket, stack: ExitStack) -> None:
    silent = [Pair(listener, stack) for _ in range(5)]
    idle, busy = Pair(listener, stack), Pair(listener, stack)
    for pair in (idle, busy):
        pair.says(b"request")
    idle.answers(b"response")
    # Each has to be silent for a second, and the last was made later than the first.
    wait_until(lambda: make_room(listener, 7, PATIENCE) == len(silent))
    assert all(pair.is_closed for pair in silent)
    assert not idle.is_closed
    assert not busy.is_closed


def test_then_those_that_have_been_idle_for_longest_and_none_that_waits_for_a_response(
    listener: socket.socket, stack: ExitStack
) -> None:
    busy = Pair(listener, stack)
    busy.says(b"request")
    idle = [Pair(listener, stack) for _ in range(3)]
    for pair in idle:
        pair.says(b"request")
        pair.answers(b"response")
        # The kernel counts in ticks of up to 10 ms.
        sleep(0.02)
    wait_until(lambda: make_room(listener, 4, PATIENCE) > 0)
    assert [pair.is_closed for pair in idle] == [True, False, False]
    assert not busy.is_closed


def test_one_that_is_sent_nothing_for_long_is_closed(
    listener: socket.socket, stack: ExitStack
) -> None:
    pair = Pair(listener, stack)
    assert close_stalled(listener, 60) == (0, 1)
    wait_until(lambda: close_stalled(listener, 0.05)[0] == 1)
    assert pair.is_closed
