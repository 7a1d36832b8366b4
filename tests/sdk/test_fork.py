"""A client that was created or used before a fork works in every process."""

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus

import pytest
import requests

from ccs_sdk import ContextClient
from tests.sdk import faults
from tests.sdk.faults import Exchange, FaultProxy
from tests.sdk.test_docs import ROOT, settings
from tests.support.service import Account, environment

TIMEOUT_SECONDS = 60
PROCESSES = 4  # of tests/sdk/preloaded.py
REQUESTS = 100


@pytest.mark.parametrize("program", ["reads", "given_session", "exits", "leased"])
def test_forked_processes_share_no_connections_and_no_locks(program: str, account: Account) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.sdk.forked", program],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env=environment(**settings(account)), timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_a_process_forked_during_a_login_logs_in_by_itself(
    account: Account, proxy: FaultProxy
) -> None:
    login_started = threading.Event()

    def stall_login(exchange: Exchange) -> None:
        login_started.set()
        faults.never_respond(exchange)

    proxy.faults.append(stall_login)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.sdk.forked", "login"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(**settings(account) | {"CCS_URL": proxy.url}),
    )  # fmt: skip
    with program:
        assert login_started.wait(TIMEOUT_SECONDS)
        _, errors = program.communicate("\n", timeout=TIMEOUT_SECONDS)
    assert program.returncode == 0, errors
    paths = [seen.path.rpartition("/")[2] for seen in proxy.seen]
    assert paths == ["login", "login", "create"]


@contextmanager
def gunicorn(application: str, **env: str) -> Generator[str]:
    """Serves `application`, which is imported before the workers fork; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [
                *[sys.executable, "-m", "gunicorn", "--preload", "--workers", str(PROCESSES)],
                *["--no-control-socket", "--bind", f"fd://{listener.fileno()}", application],
            ],
            pass_fds=[listener.fileno()], cwd=ROOT, env=environment(**env),
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)


def test_a_client_at_module_level_works_under_gunicorn_with_preload(
    account: Account, client: ContextClient
) -> None:
    flights = [f"TP{number}" for number in range(REQUESTS)]
    for flight in flights:
        client.set_property("flight-status", "status", {"flight": flight}, session_id=flight)

    def get_status(flight: str) -> str:
        response = requests.get(f"{url}/{flight}", timeout=TIMEOUT_SECONDS)
        if response.status_code != HTTPStatus.OK:
            return "error"
        return "right" if response.json() == {"flight": flight} else "wrong"

    with (
        gunicorn("tests.sdk.preloaded:application", **settings(account)) as url,
        ThreadPoolExecutor(PROCESSES) as pool,
    ):
        outcomes = Counter(pool.map(get_status, flights))
    assert outcomes == {"right": REQUESTS}
