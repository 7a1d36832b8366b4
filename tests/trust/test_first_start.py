"""A first start that is killed at any moment, with all its processes: the next start works."""

import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil

from tests.support import namespaces
from tests.support.service import CCS, environment
from tests.support.users import as_ordinary_user, ordinary_users_directory
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic


def start(data_dir: Path) -> tuple[subprocess.Popen[str], float]:
    """Starts the service in its own PID namespace, so that one signal kills all its processes."""
    serve = as_ordinary_user(*CCS, "serve", "--port", "0", "--json", "--workers", "1")
    process = subprocess.Popen(
        [namespaces.UNSHARE, "--pid", "--fork", "--kill-child", "--mount-proc", *serve],
        env=settings(data_dir), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return process, monotonic()


def settings(data_dir: Path) -> dict[str, str]:
    return environment(CCS_DATA_DIR=str(data_dir), CCS_ACCESS_LOG="off", TMPDIR=str(data_dir))


def kill(process: subprocess.Popen[str]) -> None:
    """Kills the first process of the namespace. The kernel then kills the others."""
    with suppress(psutil.NoSuchProcess, IndexError):
        first = psutil.Process(process.pid).children()[0]
        first.send_signal(signal.SIGKILL)
    process.kill()


def test_a_first_start_may_be_killed_at_any_moment(form: Form, record: Record) -> None:
    namespaces.need("--pid", "--mount-proc")
    rounds = form(short=1, full=20)
    with ordinary_users_directory() as directory:
        process, began = start(directory)
        with process:
            assert process.stdout
            assert process.stdout.readline()
            seconds = monotonic() - began
            kill(process)
    chance = random.Random(rounds)
    for number in range(rounds):
        with ordinary_users_directory() as directory:
            process, _ = start(directory)
            with process:
                # Spread over the duration of a start, and a little more.
                moment = seconds * (number + chance.random()) / rounds
                with suppress(subprocess.TimeoutExpired):
                    process.wait(moment)
                kill(process)
            again = as_ordinary_user(*CCS, "keys", "create", "later", "--json")
            made = subprocess.run(
                again,
                check=False, env=settings(directory), cwd="/", capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert made.returncode == 0, f"killed after {moment:.2f} s: {made.stderr}"
    record(
        Topic.CRASH,
        "A first start that is killed at any moment, with all its processes, does not prevent the next start.",
        f"{rounds} rounds: the next start worked each time",
    )
