"""Starts and stops the programs under test, and measures their CPU and memory."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import psutil

_started: list["Program"] = []


class NotReadyError(RuntimeError):
    """A program exited, or did not respond, before its deadline."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far and resident bytes now, of a tree of processes."""

    cpu: float = 0.0
    memory: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu + other.cpu, self.memory + other.memory)


@dataclass(frozen=True)
class Program:
    """A running program with its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Terminates the program, and kills it after ten seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def usage(self) -> Usage:
        return usage(self.process.pid)

    def workers(self) -> list[int]:
        """Returns the resident bytes of each child process: the workers of a server."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [memory for child in children if (memory := _memory(child)) is not None]


def start(
    name: str,
    command: Sequence[str | Path],
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Program:
    """Starts a command with its output in `directory/NAME.log`."""
    log = directory / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **(environment or {})},
        )
    program = Program(name, process, log)
    _started.append(program)
    return program


def stop_all() -> None:
    """Stops all programs that still run, in reverse order."""
    while _started:
        _started.pop().stop()


def wait_until(ready: Callable[[], bool], program: Program, seconds: float = 30) -> float:
    """Waits until `ready()` is true, and returns how many seconds it took.

    Raises:
        NotReadyError: The program exited or the time is over. The message contains its last output.
    """
    begin = time.perf_counter()
    while not ready():
        waited = time.perf_counter() - begin
        if program.process.poll() is not None or waited > seconds:
            tail = program.log.read_text(errors="replace")[-2000:]
            raise NotReadyError(f"{program.name} is not ready after {waited:.1f} s:\n{tail}")
        time.sleep(0.005)
    return time.perf_counter() - begin


def listening(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def responding(port: int, path: str) -> Callable[[], bool]:
    """Returns a function that checks whether a GET of the path returns 200."""

    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def usage(pid: int) -> Usage:
    """Returns the usage of a process and its descendants, including the CPU of those that have ended."""
    root = psutil.Process(pid)
    times = root.cpu_times()
    total = Usage(times.children_user + times.children_system, 0)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended after it was listed
            times = process.cpu_times()
            total += Usage(times.user + times.system, process.memory_info().rss)
    return total


def usage_of(programs: Iterable[Program]) -> Usage:
    return sum((program.usage() for program in programs), Usage())


def _memory(process: psutil.Process) -> int | None:
    try:
        memory: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        return None
    return memory


def output_of(command: Sequence[str]) -> str:
    """Returns what a command prints, such as its version."""
    completed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return (completed.stdout + completed.stderr).strip()
