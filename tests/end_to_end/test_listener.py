"""The listening socket: what becomes of connections when no new ones may begin."""

import socket
import sys

import pytest

from ccs_server.serving.listener import ListenError, address_of, listen, open_no_more


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels cannot be told to")
def test_connections_that_have_begun_are_accepted_and_no_new_ones_begin() -> None:
    with listen("127.0.0.1", 0) as listener, socket.socket() as early, socket.socket() as late:
        early.connect(address_of(listener))
        open_no_more(listener)
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
    with listen(host, 0) as listener:
        assert address_of(listener)[0] in {"127.0.0.1", "::1"}
        socket.create_connection(address_of(listener)).close()


def test_a_port_that_is_let_go_in_time_is_taken() -> None:
    with listen("127.0.0.1", 0) as first:
        host, port = address_of(first)
    with listen(host, port) as second:
        assert address_of(second) == (host, port)
        with pytest.raises(ListenError, match="is in use"):
            listen(host, port)
