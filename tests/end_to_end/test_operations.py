"""The operations listener: health and metrics at a separate address, independent of the public listener."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from time import time
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ccs_server import store
from ccs_server.cli.serve import OPERATIONS_PORT
from ccs_server.store import jobs, operations
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.purge import Purged
from ccs_server.store.tables import metadata
from tests.support import raw_http
from tests.support.proxy import proxied
from tests.support.service import (
    TIMEOUT_SECONDS,
    Account,
    Server,
    ccs,
    environment,
    new_account,
    serving,
)
from tests.support.waiting import wait_until

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def get(url: str, **options: float) -> requests.Response:
    return requests.get(url, timeout=options.get("timeout", TIMEOUT_SECONDS))


def metrics(server: Server) -> str:
    page = get(f"{server.operations}/metrics")
    assert page.status_code == 200
    return page.text


@contextmanager
def connections(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Opens connections that send nothing."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(count)
        ]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_have_a_separate_listener(server: Server, path: str) -> None:
    address = urlsplit(server.operations)
    assert address.hostname == "127.0.0.1"
    assert address.port not in {server.port, 0}
    answer = get(server.operations + path)
    assert answer.status_code == 200
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_every_response_of_the_operations_listener_carries_the_id_of_its_request(
    server: Server,
) -> None:
    for path in ("/healthz", "/nowhere"):
        sent = requests.get(
            server.operations + path, headers={"X-Request-ID": "mine"}, timeout=TIMEOUT_SECONDS
        )
        assert sent.headers["X-Request-ID"] == "mine"
        assert get(server.operations + path).headers["X-Request-ID"]


def test_the_public_listener_serves_no_metrics(server: Server) -> None:
    assert get(f"{server.url}/metrics").status_code == 404


def test_the_operations_listener_serves_nothing_else(server: Server) -> None:
    for path in ("/", "/docs", "/v1/account/a", "/metrics/"):
        answer = get(server.operations + path)
        assert (answer.status_code, answer.json()["code"]) == (404, 404)
    refused = requests.post(f"{server.operations}/metrics", timeout=TIMEOUT_SECONDS)
    assert refused.status_code == 405
    assert "GET" in refused.headers["Allow"]
    assert refused.json()["code"] == 405
    large = requests.post(f"{server.operations}/metrics", data=b"x" * 100_000, timeout=10)
    assert large.status_code == 413


def test_requests_are_counted(server: Server) -> None:
    get(f"{server.url}/v1/account/counted")
    line = (
        'ccs_request_duration_seconds_count{method="GET",path="/v1/account/<account>",status="401"}'
    )
    wait_until(lambda: line in metrics(server))


def test_unknown_methods_use_no_memory(database_url: str, tmp_path: Path) -> None:
    """They become neither labels of the metrics nor entries in the workers' memory."""
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", TMPDIR=str(tmp_path))
    with serving("--workers", "1", env=env) as server:
        [worker] = psutil.Process(server.process.pid).children()

        def files() -> int:
            return sum(file.stat().st_size for file in tmp_path.rglob("*.db"))

        get(f"{server.url}/healthz")
        wait_until(lambda: 'path="/healthz"' in metrics(server))
        files_before, memory_before = files(), worker.memory_info().rss
        for number in range(200):
            method = f"{number:06}".translate(str.maketrans("0123456789", "ABCDEFGHIJ")) * 10_000
            path, status = [("/healthz", 405), ("/nothing-here", 404)][number % 2]
            head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            answer = raw_http.send(server.url, head.encode())
            assert answer.status == status
            assert ("allow" in answer.headers) == (status == 405)
        wait_until(lambda: 'method="other"' in metrics(server))
        assert files() - files_before < 200_000
        assert worker.memory_info().rss - memory_before < 30_000_000
        assert len(metrics(server)) < 50_000


def test_a_method_in_lower_case_is_an_unknown_method(server: Server) -> None:
    answer = raw_http.send(
        server.url, b"get /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.status == 405


def test_it_responds_while_the_public_listener_is_full(database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_CONNECTION_LIMIT="5")
    with serving("--workers", "1", env=env) as server, connections(server, 40):
        with pytest.raises(requests.Timeout):
            get(f"{server.url}/healthz", timeout=0.5)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert get(server.operations + path, timeout=5).status_code == 200


def test_it_responds_while_the_database_is_frozen(database_url: str) -> None:
    with proxied(database_url) as proxy:
        env = environment(
            CCS_DATABASE_URL=proxy.url, CCS_ACCESS_LOG="off", CCS_STATEMENT_TIMEOUT="2"
        )
        with serving("--workers", "1", env=env) as server, ThreadPoolExecutor(20) as pool:
            proxy.withheld = 1 << 20
            waiting = [pool.submit(get, f"{server.operations}/readyz") for _ in range(20)]
            for path in ("/healthz", "/metrics"):
                assert get(server.operations + path, timeout=2.5).status_code == 200
            for answer in waiting:
                assert answer.result().status_code == 503
                assert answer.result().headers["Retry-After"]
            proxy.withheld = 0
            wait_until(lambda: get(f"{server.operations}/readyz").status_code == 200)


def test_the_number_of_its_connections_is_limited(server: Server) -> None:
    """Connections over the limit wait in the kernel's backlog."""
    address = urlsplit(server.operations)
    before = psutil.Process(server.process.pid).num_fds()
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((address.hostname, address.port or 0)))
        assert psutil.Process(server.process.pid).num_fds() - before <= 64
        assert get(f"{server.url}/readyz").status_code == 200
    wait_until(lambda: get(f"{server.operations}/healthz").status_code == 200)


def test_it_reports_its_workers_and_they_do_not_inherit_its_listener(database_url: str) -> None:
    """Otherwise a worker that outlives a killed supervisor would keep the port open without responding."""
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "2", env=env) as server:
        supervisor = psutil.Process(server.process.pid)
        first = supervisor.children()
        assert get(f"{server.operations}/healthz").json() == {"status": "ok", "workers": 2}
        first[0].kill()
        wait_until(lambda: len(set(supervisor.children()) - set(first)) == 1)
        wait_until(lambda: get(f"{server.operations}/healthz").json()["workers"] == 2)
        port = urlsplit(server.operations).port
        for worker in supervisor.children():
            ports = {connection.laddr.port for connection in worker.net_connections("tcp")}
            assert server.port in ports
            assert port not in ports


def test_it_reports_that_the_service_is_stopping(database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_DRAIN_TIME="5")
    with serving("--workers", "1", env=env) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(f"{server.operations}/readyz").status_code == 503)
        assert get(f"{server.operations}/healthz").status_code == 200
        server.process.kill()


def test_a_configured_port_that_is_in_use_prevents_the_start(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = environment(CCS_DATABASE_URL=database_url, CCS_OPERATIONS_PORT=port)
        refused = ccs("serve", "--port", "0", env=env)
    assert refused.returncode == 1
    assert (
        refused.stderr
        == f"Error: Port {port} of 127.0.0.1 is in use; choose another with CCS_OPERATIONS_PORT.\n"
    )


def test_without_the_setting_a_free_port_replaces_the_default_port_if_it_is_in_use(
    database_url: str,
) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    del env["CCS_OPERATIONS_PORT"]
    with ExitStack() as stack:
        # Else it is taken already, which is as good.
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", OPERATIONS_PORT)))
        server = stack.enter_context(serving("--workers", "1", env=env))
        assert urlsplit(server.operations).port != OPERATIONS_PORT
        assert get(f"{server.operations}/healthz").status_code == 200


def test_it_can_be_switched_off(database_url: str) -> None:
    env = environment(
        CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off", CCS_OPERATIONS_PORT="off"
    )
    with serving("--workers", "1", env=env) as server:
        assert "operations" not in server.said
        assert get(f"{server.url}/readyz").status_code == 200
        assert server.stop() == 0


def series(server: Server, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples of a metric, by their labels."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics(server))
        for sample in family.samples
        if sample.name == name
    }


def store_statements() -> set[str]:
    """The names of all statements of the store, of their forms that log changes or are executed after waiting, and of
    those of SQLAlchemy Core."""
    packages = [store, operations, jobs]
    modules = [
        import_module(f"{package.__name__}.{each.name}")
        for package in packages
        for each in iter_modules(package.__path__)
        if not each.ispkg
    ]
    names = {
        each.name.decode()
        for module in modules
        for each in vars(module).values()
        if isinstance(each, Statement)
    }
    for form in ("unfenced", "after_waiting", "logged", "after_waiting"):
        names |= {f"{name}_{form}" for name in names}
    verbs = ("select", "insert", "update", "delete", "lock")
    return names | {f"{verb}_{table}" for verb in verbs for table in metadata.tables}


def test_the_series_are_bounded_whatever_clients_send(server: Server, account: Account) -> None:
    """Paths, methods, names and operations that clients make up become no labels."""

    def send(number: int) -> None:
        there = f"/n{number}/s{number}/properties"
        account.v1("PUT", f"{there}/p{number}", json=number)
        account.v1("GET", f"{there}?what{number}=1")
        account.v1(f"M{number}", there)
        account.v1("GET", f"/{number}/x/y/z/a/b")
        requests.get(f"{server.url}/p{number}", headers={"maven-api-key": str(number)}, timeout=30)
        account.ops(
            *({"op": "set", "name": f"p{each}", "value": 1} for each in range(number % 7 + 1)),
            {"op": "get", "name": "p"},
        )

    for number in range(7):
        send(number)
    wait_until(lambda: 'ccs_statements_total{statement="save_one"}' in metrics(server))
    lines = len(metrics(server).splitlines())
    for number in range(7, 40):
        send(number)
    wait_until(lambda: series(server, "ccs_slots_busy") == {(): 0})
    statements = series(server, "ccs_statements_total")
    names = {dict(labels)["statement"] for labels in statements}
    assert names <= store_statements()
    timed = series(server, "ccs_statement_duration_seconds_count")
    assert {dict(labels)["statement"] for labels in timed} <= names | {"pipeline"}
    page = metrics(server)
    assert len(page.splitlines()) < lines + 200
    for made_up in ("n39", "s39", "p39", "M39", "what39", account.id):
        assert made_up not in page


def test_a_dead_worker_is_not_counted(database_url: str) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_ACCESS_LOG="off")
    with serving("--workers", "2", env=env) as server:
        wait_until(lambda: series(server, "ccs_slots") == {(): 6})
        assert series(server, "ccs_workers") == {(): 2}
        [first, _] = psutil.Process(server.process.pid).children()
        first.kill()
        wait_until(lambda: first not in psutil.Process(server.process.pid).children())
        wait_until(lambda: series(server, "ccs_slots") == {(): 6})
        wait_until(lambda: series(server, "ccs_connection_limit") == {(): 2000})


def test_the_purge_is_counted(database_url: str, database: Database) -> None:
    env = environment(CCS_DATABASE_URL=database_url, CCS_PURGE_INTERVAL="0.1")
    with serving("--workers", "1", env=env) as server, new_account(server, database) as account:
        account.v1("PUT", "/orders/s1/properties/p?ttlSecond=1", json=1)
        wait_until(lambda: series(server, "ccs_purge_duration_seconds_count")[()] > 2)
        kinds = {dict(labels)["kind"] for labels in series(server, "ccs_purged_rows_total")}
        assert kinds == set(Purged._fields)
        [at] = series(server, "ccs_purge_last_success_timestamp_seconds").values()
        assert abs(at - time()) < 60
