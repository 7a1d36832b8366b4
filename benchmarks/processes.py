"""Starts and stops the programs under test and reads what they cost."""

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
    """A program ended, or did not answer, before its deadline."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds spent so far and bytes resident now, over a tree of processes."""

    cpu: float = 0.0
    memory: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.cpu + other.cpu, self.memory + other.memory)


@dataclass(frozen=True)
class Program:
    """A running program, its log, and the tree of processes below it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Ends the program: asks first, insists after ten seconds."""
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
        """Resident bytes of each process below the first: a server's workers."""
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
    """Ends what was started and still runs, the last first."""
    while _started:
        _started.pop().stop()


def wait_until(ready: Callable[[], bool], program: Program, seconds: float = 30) -> float:
    """Waits until `ready()`; returns the seconds it took.

    Raises:
        NotReadyError: the program ended or the time is over; its last output is in the message.
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


def answering(port: int, path: str) -> Callable[[], bool]:
    """Whether a GET of the path is answered with 200."""

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
    """What a process and all below it have used, those that ended included."""
    root = psutil.Process(pid)
    times = root.cpu_times()
    total = Usage(times.children_user + times.children_system, 0)
    for process in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # ended between listing and reading
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
    """What a program prints, for its version."""
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return (answer.stdout + answer.stderr).strip()
