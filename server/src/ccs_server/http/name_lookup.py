"""Looks up the addresses of hosts, which the system's resolver can only do by blocking a thread."""

import socket
from concurrent.futures import Future
from threading import Thread


def look_up(host: str, port: int) -> "Future[list[str]]":
    """The addresses of a host, in the order in which to try them; OSError if there are none.

    A thread of its own waits for them, which no end of a process waits for: a resolver may take half a minute.
    """
    future: Future[list[str]] = Future()

    def run() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            _end(future, OSError(str(error)))
        else:
            _end(future, [str(address[0]) for *_, address in found])

    Thread(target=run, name="name-lookup", daemon=True).start()
    return future


def _end(future: "Future[list[str]]", result: list[str] | OSError) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, OSError):
        future.set_exception(result)
    else:
        future.set_result(result)
