"""The sockets that workers accept connections from: one address, a socket for each worker.

Of a socket that they shared, the worker that wakes first would take a burst of connections whole, and keep them, while
the others lie idle: a pool of connections is such a burst. So the kernel deals them out (on Linux; elsewhere there is
one socket for all).
"""

import ctypes
import errno
import socket
import struct
import sys
from time import monotonic, sleep
from typing import NamedTuple

BACKLOG = 1024

# An instance that has just been killed may hold the port for a moment longer.
_BIND_SECONDS = 1.0

# From <asm-generic/socket.h>; Python does not name it.
_SO_ATTACH_FILTER = 26

# A classic BPF program over TCP segments, as (operation, jump if true, jump if false, operand): drop those that open
# a connection (flag SYN), let all others through.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # accept
)


class ListenError(Exception):
    """The address cannot be listened on; the message is one sentence that says why."""


class PortInUseError(ListenError):
    """The port is another process's."""


class Options(NamedTuple):
    """What an operator chooses a host and a port with."""

    host: str
    port: str


_OPTIONS = Options("--host", "--port")


def listen(
    host: str, port: int, count: int = 1, *, options: Options = _OPTIONS
) -> list[socket.socket]:
    """`count` listening sockets of one address; port 0 takes any that is free.

    Args:
        host: a name or an address of this machine.
        port: the port.
        count: how many sockets.
        options: what an error names.

    Raises:
        ListenError: the address is not this machine's, or is taken.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ListenError(
            f"The host '{host}' is not known; give an address with {options.host}."
        ) from None
    family, _, _, _, address = addresses[0]
    deadline = monotonic() + _BIND_SECONDS
    while True:
        try:
            listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and monotonic() < deadline:
                sleep(0.05)
                continue
            kind = PortInUseError if error.errno == errno.EADDRINUSE else ListenError
            raise kind(_sentence(error, host, port, options)) from error
        return _with_others(listener, count)


def _with_others(first: socket.socket, count: int) -> list[socket.socket]:
    listeners = [first]
    if sys.platform == "linux":
        # Only now: bound with this option, the first would have joined another service of the same user.
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listeners += (
            socket.create_server(
                first.getsockname()[:2], family=first.family, backlog=BACKLOG, reuse_port=True
            )
            for _ in range(count - 1)
        )
    for listener in listeners:
        # Accepted connections inherit it: a response is one packet, and waiting for more gains nothing.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listeners


def _sentence(error: OSError, host: str, port: int, options: Options) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} of {host} is in use; choose another with {options.port}."
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; give another with {options.host}."
        case errno.EACCES:
            return f"Port {port} is for privileged users; choose one from 1024 with {options.port}."
        case _:
            return f"{host}:{port} cannot be listened on: {error.strerror}."


def address_of(listener: socket.socket) -> tuple[str, int]:
    """An address at which this machine itself reaches the listener."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - not bound here


def stop_accepting(listener: socket.socket) -> None:
    """Lets no new connection begin, while those that have are still accepted.

    A listener that is closed resets the connections that wait in its queue, though their clients have been told that
    they are connected and may have sent their requests. The kernel can be kept from starting new ones (on Linux; what
    it drops, clients send again), so that the queue can be emptied before the listener is closed. Where the kernel lets
    no ordinary user do so, a queue of next to nothing has to do.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN)
    memory = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(memory))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
    except PermissionError:
        listener.listen(0)
