"""Programs that use a client and then fork: `python -m tests.sdk.forked PROGRAM`.

They take the client's settings from the environment, and exit with 0 if every process read the right data.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

import requests

from ccs_sdk import (
    CCSError,
    ConfigurationError,
    ContextClient,
    DocumentClient,
    SessionHandle,
    Turn,
)

PROCESSES = 4
READS = 200
EXITS = 100
CHILD_SECONDS = 30
"""How long a child may take before SIGALRM ends it."""


def reads() -> bool:
    """Children read concurrently through a client whose only connection was open during the fork."""
    client = ContextClient(pool_size=1, retry=None)
    airline = client.namespace("airline")
    sessions = [airline.session(f"conv-{number}") for number in range(PROCESSES)]
    for session in sessions:
        session["owner"] = session.session_id
    return _all_succeed([_fork(partial(_reads_only_its_session, session)) for session in sessions])


def _reads_only_its_session(session: SessionHandle) -> bool:
    wrong = 0
    for _ in range(READS):
        try:
            wrong += session["owner"] != session.session_id
        except CCSError:
            wrong += 1
    return wrong == 0


def login() -> bool:
    """A child, forked while another thread of its parent logs in, saves at once."""
    client = DocumentClient()
    threading.Thread(target=client.login, daemon=True).start()
    sys.stdin.readline()  # the test writes a line when the login is in progress
    return _all_succeed([_fork(lambda: bool(client.save("airline", {"a": 1})))])


def given_session() -> bool:
    """A child may use a given session only if its parent did not use it."""
    unused = ContextClient(http_session=requests.Session())
    used = ContextClient(http_session=requests.Session())
    used.list_namespaces()

    def works_and_is_refused() -> bool:
        unused.list_namespaces()
        try:
            used.list_namespaces()
        except ConfigurationError as error:
            return "create the session and the client after the fork" in error.message
        return False

    return _all_succeed([_fork(works_and_is_refused)])


def exits() -> bool:
    """Children exit while threads of their parent use the connection pool."""
    client = ContextClient(pool_size=PROCESSES)
    sys.setswitchinterval(1e-5)  # so that forks often interrupt a thread that is using the pool
    for _ in range(PROCESSES):
        threading.Thread(target=_read_forever, args=(client,), daemon=True).start()
    return all(_all_succeed([_fork(_run_exit_functions)]) for _ in range(EXITS))


def leased() -> bool:
    """A child writes during the lease of its parent, and does not release it at its end."""
    client = ContextClient()
    call = client.namespace("airline").session("conv-1")

    def write_and_leave(turn: Turn) -> bool:
        turn["child"] = True
        turn.release()  # as the end of the block would do
        return not turn.lost and threading.active_count() == 1

    with call.lease(9, owner="parent") as turn:
        succeeded = _all_succeed([_fork(partial(write_and_leave, turn)) for _ in range(PROCESSES)])
        turn["parent"] = True
    return succeeded and call.all() == {"child": True, "parent": True}


def _read_forever(client: ContextClient) -> None:
    while True:
        client.list_namespaces()


def _run_exit_functions() -> bool:
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    return True


def _fork(run: Callable[[], bool]) -> int:
    """Starts a child that exits with 0 if `run` returns true; returns its process id."""
    child = os.fork()
    if child == 0:
        succeeded = False
        signal.alarm(CHILD_SECONDS)
        try:
            succeeded = run()
        finally:
            os._exit(0 if succeeded else 1)
    return child


def _all_succeed(children: list[int]) -> bool:
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return not any(codes)


PROGRAMS = {program.__name__: program for program in (reads, login, given_session, exits, leased)}

if __name__ == "__main__":
    succeeded = PROGRAMS[sys.argv[1]]()
    os._exit(0 if succeeded else 1)  # does not wait for the thread that is still logging in
