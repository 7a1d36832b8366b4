"""Free ports, for programs that cannot choose one themselves."""

import socket


def free_port() -> int:
    """Returns a port on which no process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
