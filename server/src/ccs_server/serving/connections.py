"""Closes connections that keep others out, or that will never be of use again.

Granian (2.8) limits the time for a request's head and between requests, but not for taking a response; and when as many
connections as it may have are open, it accepts no more until one is closed. It does not tell which connection a request
came on, but the kernel knows of each what it has sent and received, and when (`struct tcp_info`). Linux alone tells so.
"""

import logging
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from threading import Event
from typing import NamedTuple, Protocol

from ccs_server.serving.repeating import repeat

# <linux/tcp.h>, struct tcp_info: eight bytes, then numbers of four, of which tcpi_last_data_sent (milliseconds) is the
# tenth and tcpi_last_data_recv the twelfth; after twenty-four of them, numbers of eight: the third and the fourth are
# tcpi_bytes_acked, which counts the handshake as one, and tcpi_bytes_received.
_TCP_INFO = struct.Struct("44xI4xI64xQQ")

_TCP = (socket.AF_INET, socket.AF_INET6)

_LOOK_SECONDS = 0.25
"""How often a full worker makes room."""

_STALL_LOOKS = 4
"""Looks for stalled connections within `CCS_REQUEST_TIME`, so that one is closed at most this part of it late."""

_ROOM = 10
"""A full worker makes room for a tenth of its connections."""

_SILENT_SECONDS = 1.0
"""A client that has connected may take so long to say something, even where there is no room."""

_log = logging.getLogger("ccs.connections")


class Watcher(Protocol):
    """Is told of a worker's connections."""

    def open(self, count: int) -> None:
        """There are so many."""

    def closed(self, reason: str, count: int) -> None:
        """So many were closed, because they had stalled (`stalled`) or there was no room (`full`)."""


class Connection(NamedTuple):
    """A connection, as a handle of its own, and what the kernel knows of it; times in seconds."""

    socket: socket.socket
    nothing_sent_for: float
    nothing_received_for: float
    bytes_received: int
    bytes_sent: int

    @property
    def is_idle(self) -> bool:
        """Whether its client has said nothing yet, or has been sent something since it said something."""
        if self.nothing_sent_for != self.nothing_received_for:
            return self.nothing_sent_for < self.nothing_received_for
        # Within one millisecond: a first request waits for its response, or one was responded to at once.
        return not self.bytes_received or self.bytes_sent > 0


def keep_closing(
    listener: socket.socket, *, limit: int, request_time: float, stop: Event, watcher: Watcher
) -> None:
    """Closes this process's stalled connections of `listener`, and makes room when there are `limit`, until `stop`.

    A connection may lie idle for `request_time` seconds and then take as long to send a request: one that was sent
    nothing for twice that has stalled.
    """
    if sys.platform != "linux":
        return

    looks = count(1)
    per_stall = max(1, round(request_time / _STALL_LOOKS / _LOOK_SECONDS))

    def look() -> None:
        if next(looks) % per_stall == 0:
            closed, remaining = close_stalled(listener, 2 * request_time)
            watcher.open(remaining)
            if closed:
                watcher.closed("stalled", closed)
                _log.warning("Closed %d connections that had stalled.", closed)
        # There are more files than connections, so this costs next to nothing while there is room.
        if len(os.listdir("/proc/self/fd")) < limit:  # noqa: PTH208 - numbers, not paths
            return
        if removed := make_room(listener, limit, request_time / 2):
            watcher.closed("full", removed)
            _log.warning("Closed %d silent or idle connections: there was no room.", removed)

    seconds = min(_LOOK_SECONDS, request_time / _STALL_LOOKS)
    repeat(look, seconds=seconds, stop=stop, name="connections")


def close_stalled(listener: socket.socket, seconds: float) -> tuple[int, int]:
    """Closes the connections accepted from `listener` that were sent nothing for `seconds`.

    Returns how many they were, and how many remain.
    """
    with _opened(listener) as connections:
        closed = _close([each for each in connections if each.nothing_sent_for > seconds])
        return closed, len(connections) - closed


def make_room(listener: socket.socket, limit: int, patience: float) -> int:
    """Closes connections accepted from `listener` if there are `limit`; returns how many.

    Those that have said nothing go first, then those that have been silent for longest. One whose client may be
    waiting for a response is left alone for `patience` seconds.
    """
    with _opened(listener) as connections:
        if len(connections) < limit:
            return 0
        silent = [
            each
            for each in connections
            if each.nothing_received_for > (_SILENT_SECONDS if each.is_idle else patience)
        ]
        silent.sort(key=lambda each: (each.bytes_received > 0, -each.nothing_received_for))
        never_spoke = sum(not each.bytes_received for each in silent)
        return _close(silent[: max(never_spoke, limit // _ROOM, 1)])


def _close(connections: list[Connection]) -> int:
    for connection in connections:
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
    return len(connections)


@contextmanager
def _opened(listener: socket.socket) -> Iterator[list[Connection]]:
    """This process's connections to the listener's port, for the length of the block."""
    port: int = listener.getsockname()[1]
    with ExitStack() as stack:
        connections: list[Connection] = []
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
            # One that was closed meanwhile is no concern of ours.
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    handle = stack.enter_context(socket.socket(fileno=os.dup(int(name))))
                    connections += _accepted(handle, port)
        yield connections


def _accepted(handle: socket.socket, port: int) -> Iterator[Connection]:
    if (
        handle.family in _TCP
        and handle.getsockname()[1] == port
        and not handle.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        sent, received, acked, count = _TCP_INFO.unpack(info)
        yield Connection(handle, sent / 1000, received / 1000, count, max(0, acked - 1))
