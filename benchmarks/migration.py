"""Measures an upgrade of a large store: `python -m benchmarks.migration COMMIT`.

The service of COMMIT runs on a store of 5 million properties, with clients that read and save without a pause, while
the working tree's `ccs migrate` migrates the store. It prints how long that took, and the longest time that a request
took meanwhile, beside the longest without a migration. Every response must be right, also on the new schema.
"""

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from statistics import median

from benchmarks import bulk, installed, lab
from benchmarks.load import Client, Request
from benchmarks.operations import v1
from benchmarks.scale import FULL
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT, NAMESPACE

_DATABASE = "migrated"
_OPERATIONS = ("read_all", "patch_1")
_CLIENTS = 4
"""The clients of each operation."""
_QUIET_SECONDS = 10.0


class _User:
    """A client that sends one operation for random sessions, in a thread, until it is stopped."""

    def __init__(self, operation: str, request: Request, port: int, sessions: int) -> None:
        self.operation = operation
        self.failure: Exception | None = None
        self._request = request
        self._client = Client(port)
        self._sessions = session_numbers(sessions)
        self._times: list[tuple[float, float]] = []
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def longest(self, begin: float, end: float) -> float:
        """Returns how long the longest request took of those that were running in this time."""
        return max(
            ended - began for began, ended in list(self._times) if ended > begin and began < end
        )

    def typical(self) -> float:
        return median(ended - began for began, ended in self._times)

    def stop(self) -> None:
        """Raises the first error of the client, if there was one."""
        self._is_stopped.set()
        self._thread.join()
        self._client.close()
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._is_stopped.is_set():
                session = random.choice(self._sessions)  # noqa: S311 - no secret
                begin = time.perf_counter()
                self._client.send(self._request, session)
                self._times.append((begin, time.perf_counter()))
        except Exception as failure:  # noqa: BLE001 - raised again by `stop`, in the main thread
            self.failure = failure


def main() -> None:
    """Runs the measurement and prints the figures."""
    arguments = _arguments()
    try:
        before = installed.commit(installed.full_name(arguments.commit))
    except installed.UnknownCommitError as error:
        sys.exit(str(error))
    sessions = arguments.properties // 10
    with lab.opened(FULL) as opened:
        now = installed.working_tree(opened.directory / "working_tree")
        instance = opened.instance(_DATABASE, before)
        with opened.postgres.connect(_DATABASE) as connection:
            bulk.load(connection, NAMESPACE, session_numbers(sessions), bulk.document())
            bulk.settle(connection)
        print(f"{10 * sessions:,} properties on the schema of {before.name}", flush=True)
        operations = v1(ACCOUNT, NAMESPACE, instance.headers)
        users = [
            _User(operation, operations[operation].requests[0], instance.port, sessions)
            for operation in _OPERATIONS
            for _ in range(_CLIENTS)
        ]
        try:
            begin = time.perf_counter()
            time.sleep(_QUIET_SECONDS)
            middle = time.perf_counter()
            subprocess.run(
                [*now.command, "migrate"],
                check=True,
                env={
                    **os.environ,
                    **now.environment,
                    "CCS_DATABASE_URL": opened.postgres.url(_DATABASE),
                },
            )
            end = time.perf_counter()
            time.sleep(_QUIET_SECONDS)
        finally:
            for user in users:
                user.stop()
        _print(users, begin, middle, end)


def _print(users: Sequence[_User], begin: float, middle: float, end: float) -> None:
    print(f"load average {os.getloadavg()[0]:.1f}; `ccs migrate` took {end - middle:.2f} s")
    for operation in _OPERATIONS:
        its_users = [user for user in users if user.operation == operation]
        typical = median(user.typical() for user in its_users)
        quiet = max(user.longest(begin, middle) for user in its_users)
        busy = max(user.longest(middle, end) for user in its_users)
        print(
            f"{operation}: p50 {1000 * typical:.1f} ms; longest {1000 * busy:.0f} ms during the migration,"
            f" {1000 * quiet:.0f} ms in the {middle - begin:.0f} s before"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.migration", description=__doc__)
    parser.add_argument("commit", help="the commit whose service runs before the migration")
    parser.add_argument("--properties", type=int, default=5_000_000, help="how many are stored")
    return parser.parse_args()


if __name__ == "__main__":
    main()
