"""The metrics of caches and of connections to the database."""

import socket
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest
from prometheus_client import REGISTRY

from ccs_server.api.service_metrics import ServiceMetrics
from ccs_server.api.services import Services
from ccs_server.domain.errors import Unavailable
from ccs_server.settings import Settings
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database

ONE = Statement.of("test_service_metrics_one", "SELECT 1")


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def connections() -> tuple[float, float]:
    used, idle = (value("ccs_database_connections", state=state) for state in ("used", "idle"))
    return used, idle


@pytest.fixture
def services(database_url: str) -> Iterator[Services]:
    services = Services.of(Settings(), Database(database_url, Settings()))
    yield services
    services.database.release()


def test_connections_are_counted_by_their_use(services: Services) -> None:
    metrics = ServiceMetrics(services, lambda: 3)
    opened = value("ccs_database_connections_opened_total")
    together = Barrier(3)

    def use() -> None:
        with services.database.transaction() as connection:
            connection.execute(ONE)
            together.wait(30)
            together.wait(30)

    threads = [Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    together.wait(30)
    metrics.update()
    assert connections() == (2, 0)
    assert value("ccs_streams") == 3
    together.wait(30)
    for thread in threads:
        thread.join()
    metrics.update()
    assert connections() == (0, 2)
    assert value("ccs_database_connections_opened_total") == opened + 2
    services.database.release()
    metrics.update()
    assert connections() == (0, 0)


def test_failed_attempts_to_connect_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nowhere = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    metrics = ServiceMetrics(Services.of(Settings(), nowhere), lambda: 0)
    before = value("ccs_database_connect_failures_total")
    with pytest.raises(Unavailable):
        nowhere.execute(ONE)
    metrics.update()
    metrics.update()
    assert value("ccs_database_connect_failures_total") == before + 1


def test_look_ups_in_caches_are_counted(services: Services) -> None:
    metrics = ServiceMetrics(services, lambda: 3)
    labels = {"cache": "signing_keys"}
    before = [
        value("ccs_cache_requests_total", result=result, **labels) for result in ("hit", "miss")
    ]
    for _ in range(3):
        services.signing_keys.get(b"unknown")
    metrics.update()
    after = [
        value("ccs_cache_requests_total", result=result, **labels) for result in ("hit", "miss")
    ]
    assert after == [before[0], before[1] + 3]
