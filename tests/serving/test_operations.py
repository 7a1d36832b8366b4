"""The operations listener: results that its callers share, and the files that its metrics are read from."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from ccs_server.serving import operations
from ccs_server.serving.operations import Shared, create_operations_app
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from tests.support.waiting import wait_until


def test_callers_at_the_same_time_share_one_computation() -> None:
    computations: list[int] = []
    go = Event()

    def compute() -> int:
        computations.append(1)
        assert go.wait(30)
        return len(computations)

    shared = Shared(compute)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shared.get)
        wait_until(lambda: bool(computations))
        others = [pool.submit(shared.get) for _ in range(3)]
        wait_until(lambda: not pool._work_queue.qsize())
        go.set()
        assert [first.result(), *(other.result() for other in others)] == [1] * 4
    assert shared.get() == 2, "the next is computed anew"


def test_they_share_its_exception_and_it_is_forgotten() -> None:
    results = iter([ZeroDivisionError("first")])

    def compute() -> str:
        for error in results:
            raise error
        return "second"

    shared = Shared(compute)
    with pytest.raises(ZeroDivisionError):
        shared.get()
    assert shared.get() == "second"


def test_others_do_not_wait_longer_than_their_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_PATIENCE_SECONDS", 0.01)
    begun, go = Event(), Event()

    def compute() -> bool:
        begun.set()
        return go.wait(30)

    shared = Shared(compute)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared.get)
        assert begun.wait(30)
        with pytest.raises(TimeoutError):
            shared.get()
        go.set()
        assert first.result()


class NoWorkers:
    """The supervisor of none."""

    is_ending = False

    def count_alive(self) -> int:
        return 0


def test_metrics_are_served_while_a_worker_is_making_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_1.db").touch()
    database = Database("postgresql://nowhere", Settings())
    response = create_operations_app(NoWorkers(), database).test_client().get("/metrics")
    assert (response.status_code, "ccs_workers 0.0" in response.text) == (200, True)
