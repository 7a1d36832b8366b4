"""Starts `ccs` as a fork of a process that has imported its libraries already: imports are most of a start's time.

The fork is a process as any other, with an environment, a standard output and an exit code of its own. What reads the
environment when it is imported (`ccs_server.app`, for the metrics) is left to the fork.
"""

import atexit
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Lock, Thread
from typing import IO, NoReturn

from ccs_server.cli import main

_MODULES = (
    *("flask_smorest", "granian.server", "waitress"),
    *(f"ccs_server.api.{name}" for name in ("console", "docs", "ext", "v1", "v2")),
)
"""What `ccs serve` imports beside what every command does, without what reads the environment."""

_INT_BYTES = 4


class Process:
    """A running `ccs`, with the part of `subprocess.Popen` that tests use.

    Attributes:
        stdout: its standard output.
    """

    def __init__(self, pid: int, stdout: IO[str], wait: Callable[[], int]) -> None:
        self.pid = pid
        self.stdout = stdout
        self._wait = wait
        self._ended: Future[int] = Future()
        Thread(target=self._follow, name=f"ccs-{pid}", daemon=True).start()

    def _follow(self) -> None:
        try:
            self._ended.set_result(self._wait())
        except RuntimeError as error:
            self._ended.set_exception(error)

    def poll(self) -> int | None:
        """The exit code as Popen has it, or None while it runs."""
        return self._ended.result() if self._ended.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
        """
        return self._ended.result(timeout)

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Template:
    """The process that is forked; there is one for each process that runs tests."""

    def __init__(self) -> None:
        self._asking, asked = socket.socketpair()
        self._lock = Lock()
        code = "import sys; from tests.support import template; template.serve(int(sys.argv[1]))"
        with asked:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(asked.fileno())], pass_fds=[asked.fileno()]
            )
        atexit.register(self.end)

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], stderr: int) -> Process:
        stdout, for_stdout = os.pipe()
        status, for_status = os.pipe()
        message = json.dumps([arguments, str(Path.cwd()), dict(env)]).encode()
        with self._lock:
            head = len(message).to_bytes(_INT_BYTES)
            socket.send_fds(self._asking, [head], [for_stdout, stderr, for_status])
            self._asking.sendall(message)
            pid = int.from_bytes(self._asking.recv(_INT_BYTES, socket.MSG_WAITALL))
        for each in (for_stdout, for_status):
            os.close(each)
        assert pid, "the template has ended"
        return Process(pid, os.fdopen(stdout), partial(_exit_code, status))

    def end(self) -> None:
        self._asking.close()
        self._process.wait()


_template = cache(_Template)


def start(*arguments: str, env: Mapping[str, str], stderr: IO[str] | None = None) -> Process:
    """Starts a `ccs` command. Its errors go to `stderr`, or to where this process's go.

    It is started from nothing if its environment has other variables for Python itself than this process's, and where
    there is no `pidfd_open`.
    """
    if sys.platform == "linux" and _of_python(env) == _of_python(os.environ):
        return _template().fork(arguments, env, stderr.fileno() if stderr else 2)
    process = subprocess.Popen(
        [sys.executable, "-m", "ccs_server", *arguments],
        env=env, stdout=subprocess.PIPE, stderr=stderr, text=True,
    )  # fmt: skip
    assert process.stdout
    return Process(process.pid, process.stdout, process.wait)


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


def _exit_code(status: int) -> int:
    with open(status, "rb") as file:
        code = file.read()
    if not code:
        raise RuntimeError("The template has ended before its fork.")
    return int.from_bytes(code, signed=True)


def serve(asked: int) -> None:
    """Forks as it is asked to, until the asking process has ended; a fork runs its command."""
    for module in _MODULES:
        import_module(module)
    assert "prometheus_client" not in sys.modules
    gc.freeze()
    with socket.socket(fileno=asked) as asking, DefaultSelector() as running:
        running.register(asking, EVENT_READ)
        while True:
            for key, _ in running.select():
                if key.fileobj is not asking:
                    running.unregister(key.fd)
                    _report(key.fd, *key.data)
                    continue
                head, descriptors, _, _ = socket.recv_fds(asking, _INT_BYTES, 3)
                if not head:
                    return
                stdout, stderr, status = descriptors
                message = asking.recv(int.from_bytes(head), socket.MSG_WAITALL)
                pid = os.fork()
                if not pid:
                    running.close()
                    asking.close()
                    _run(stdout, stderr, *json.loads(message))
                running.register(os.pidfd_open(pid), EVENT_READ, (pid, status))
                asking.sendall(pid.to_bytes(_INT_BYTES))
                for descriptor in (stdout, stderr):
                    os.close(descriptor)


def _report(process: int, pid: int, status: int) -> None:
    _, wait_status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(wait_status)
    # The asking process may have ended.
    with suppress(BrokenPipeError):
        os.write(status, code.to_bytes(_INT_BYTES, signed=True))
    for descriptor in (process, status):
        os.close(descriptor)


def _run(
    stdout: int, stderr: int, arguments: list[str], directory: str, env: dict[str, str]
) -> NoReturn:
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    main(arguments, prog_name="ccs")
    sys.exit()
