"""A load generator without wrk: for the smoke run, and for requests that need the ETag of the response before.

It is slower than the service, so figures of it are less than what the service can do.
"""

import itertools
import threading
import time
from statistics import quantiles

from benchmarks.load.requests import FIRST_SESSION, Client, ConflictError, Operation
from benchmarks.load.wrk import Load, Measurement

_fresh = itertools.count(90_000_000)


def run(operation: Operation, port: int, sessions: int, load: Load) -> Measurement:
    """Does the same as `wrk.run`, but checks the whole body of each response."""
    deadline = time.perf_counter() + load.seconds
    times: list[float] = []
    failures: list[Exception] = []
    conflicts: list[int] = []

    def work(client: Client) -> None:
        try:
            while time.perf_counter() < deadline:
                number = next(_fresh)
                session = number if operation.new_sessions else FIRST_SESSION + number % sessions
                try:
                    for request in operation.requests:
                        begin = time.perf_counter()
                        client.send(request, session, number, conflict=operation.conflict)
                        times.append((time.perf_counter() - begin) * 1000)
                except ConflictError:
                    conflicts.append(number)
        except Exception as failure:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(failure)
        finally:
            client.close()

    begin = time.perf_counter()
    threads = [threading.Thread(target=work, args=[Client(port)]) for _ in range(load.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    percentiles = quantiles(times, n=100, method="inclusive")
    seconds = time.perf_counter() - begin
    return Measurement(
        len(times), seconds, percentiles[49], percentiles[98], max(times), len(conflicts)
    )
