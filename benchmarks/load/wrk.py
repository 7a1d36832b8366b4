"""Generates load with wrk."""

import itertools
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.load.requests import FIRST_SESSION, NoResponseError, Operation, WrongResponseError

INSTALL = "apt-get install wrk"
_SCRIPT = Path(__file__).with_name("drive.lua")
_THREADS = 2
_SHORTEST_SECONDS = 0.5
"""wrk needs part of this time to start."""
# How many sessions a thread of one run may create. No session is created twice.
_NUMBERS_PER_THREAD = 100_000
_fresh = itertools.count(20_000_000, _THREADS * _NUMBERS_PER_THREAD)


@dataclass(frozen=True)
class Measurement:
    """The measurements of one run of a load generator. Times are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    conflicts: int = 0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Load:
    """The load: `think_ms` is the mean pause of each connection before a request."""

    connections: int
    seconds: float
    think_ms: float = 0


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def run(operation: Operation, port: int, sessions: int, load: Load) -> Measurement:
    """Runs an operation under load, with random sessions out of `sessions`.

    Raises:
        WrongResponseError: A response was wrong, or a connection failed.
        NoResponseError: There was no response.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="latin-1") as plan:
        plan.write(_plan(operation, port, sessions, load))
        plan.flush()
        command = [
            "wrk", f"-t{_THREADS}", f"-c{load.connections}", f"-d{ceil(load.seconds)}s",
            "--timeout", "30s", "-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", plan.name,
        ]  # fmt: skip
        output, errors = _run_for(load.seconds, command)
    figures = re.search(r"^FIGURES ((?:\d+ ){8})(.*)", output, re.MULTILINE | re.DOTALL)
    if figures is None:
        raise RuntimeError(f"wrk failed: {output}{errors}")
    requests, duration, p50, p99, longest, wrong, conflicts, failed = map(int, figures[1].split())
    if wrong or failed:
        raise WrongResponseError(
            f"{wrong} of {requests} responses were wrong and {failed} connections failed;"
            f" the first wrong response: {figures[2].strip()}"
        )
    if not requests:
        raise NoResponseError(f"no response in {load.seconds:g} s")
    return Measurement(
        requests - conflicts, duration / 1e6, p50 / 1e3, p99 / 1e3, longest / 1e3, conflicts
    )


def _run_for(seconds: float, command: Sequence[str]) -> tuple[str, str]:
    """Runs wrk for a time that need not be whole seconds, by interrupting it. It then reports as usual.

    Raises:
        NoResponseError: wrk had not started by then.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            return process.communicate(timeout=max(_SHORTEST_SECONDS, seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output = process.communicate()
    if process.returncode == -signal.SIGINT:
        raise NoResponseError(f"wrk took more than {seconds:g} s to start")
    return output


def _plan(operation: Operation, port: int, sessions: int, load: Load) -> str:
    responses = {request.status: request.shortest for request in operation.requests}
    texts = [request.text(f"127.0.0.1:{port}") for request in operation.requests]
    members = {
        "fresh": next(_fresh) if operation.new_sessions else 20_000_000,
        "numbers_per_thread": _NUMBERS_PER_THREAD,
        "new_sessions": str(operation.new_sessions).lower(),
        "first_session": FIRST_SESSION,
        "sessions": sessions,
        "lanes": 4 * load.connections,
        "think_ms": load.think_ms,
        "conflict": operation.conflict,
        "responses": "{"
        + ", ".join(f"[{key}] = {value}" for key, value in responses.items())
        + "}",
        "requests": "{" + ", ".join(map(_lua_string, texts)) + "}",
    }
    return "return {\n" + "".join(f"  {key} = {value},\n" for key, value in members.items()) + "}\n"


def _lua_string(text: str) -> str:
    """Returns a Lua string literal, with special bytes written as `\\ddd`."""
    return '"' + re.sub(r"[^ !#-\[\]-~]", lambda match: f"\\{ord(match[0]):03d}", text) + '"'
