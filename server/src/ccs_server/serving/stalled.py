"""Cuts off clients that neither finish a request nor take their answer.

Granian (2.8) limits the time for a request's head and between requests, but not for its body nor for taking an
answer: a client that stops in the middle would keep its connection, and what waits for it, for ever. Granian tells
nobody which connection a request came on, but the kernel knows of each when it was last sent anything. A connection
may lie idle for `limit` seconds and then take as long to send a request: sent nothing for twice that, it has stalled.
"""

import logging
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from time import sleep

# <linux/tcp.h>, struct tcp_info: eight bytes, nine numbers, then tcpi_last_data_sent, in milliseconds.
_LAST_DATA_SENT = struct.Struct("44xI")

_TCP = (socket.AF_INET, socket.AF_INET6)

_ROUNDS = 4
"""Looks at the connections within `limit`, so that one is cut off at most this part of it late."""

_log = logging.getLogger("ccs.stalled")


def keep_cutting_off(listener: socket.socket, limit: float) -> None:
    """Cuts off this process's stalled connections of `listener`, for as long as the process lives; on Linux alone."""
    if sys.platform == "linux":
        Thread(target=_run, args=(listener, limit), name="stalled", daemon=True).start()


def _run(listener: socket.socket, limit: float) -> None:
    while True:
        sleep(limit / _ROUNDS)
        count = cut_off(listener, 2 * limit)
        if count:
            _log.warning("Cut off %d connections that had stalled.", count)


def cut_off(listener: socket.socket, seconds: float) -> int:
    """Ends the connections that were accepted from `listener` and sent nothing for `seconds`; returns how many."""
    count = 0
    for connection in _connections(listener):
        with connection, suppress(OSError):
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
            if _LAST_DATA_SENT.unpack(info)[0] > seconds * 1000:
                connection.shutdown(socket.SHUT_RDWR)
                count += 1
    return count


def _connections(listener: socket.socket) -> Iterator[socket.socket]:
    """This process's connections to the listener's port, each as a handle of its own."""
    port = listener.getsockname()[1]
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        # One that was closed meanwhile is no concern of ours.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            connection = socket.socket(fileno=os.dup(int(name)))
            if connection.family in _TCP and _is_accepted(connection, port):
                yield connection
            else:
                connection.close()


def _is_accepted(connection: socket.socket, port: int) -> bool:
    return connection.getsockname()[1] == port and not connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    )
