"""docs/operate: the page, the dashboard and the alerts name what a real scrape has, and Prometheus understands them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import isfinite
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from ccs_server.store.database import Database
from tests.support.collector import collecting
from tests.support.ports import free_port
from tests.support.service import Account, Server, ccs, environment, new_account, serving
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
OPERATE = HERE.parents[1] / "docs" / "operate"
PAGE = (OPERATE / "monitoring.md").read_text()
ALERTS = (OPERATE / "alerts.yaml").read_text()
DASHBOARD: dict[str, Any] = json.loads((OPERATE / "grafana-dashboard.json").read_text())

PROMETHEUS = shutil.which("prometheus") or ""
PROMTOOL = shutil.which("promtool") or ""

needs_prometheus = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL),
    reason="NOT TESTED: Prometheus is not installed: apt-get install --no-install-recommends prometheus",
)

# Modules with metrics, so that this process knows their names and types, too.
for _module in (
    "api.service_metrics",
    "http.metrics",
    "http.otlp",
    "http.statements",
    "serving.deliveries",
    "serving.dispatcher",
    "serving.jobs",
    "serving.sequencer",
    "serving.upkeep",
    "serving.worker_metrics",
):
    import_module(f"ccs_server.{_module}")


def documented() -> dict[str, str]:
    """The types of the metrics on the page, by name."""
    return dict(re.findall(r"^\| `(ccs_\w+)` \| (\w+) \|", PAGE, re.MULTILINE))


@dataclass(frozen=True)
class Operated:
    """A service with everything on, and an account with a quota."""

    server: Server
    account: Account


@pytest.fixture(scope="module")
def operated(database_url: str, database: Database) -> Iterator[Operated]:
    with collecting() as collector:
        env = environment(
            CCS_DATABASE_URL=database_url,
            CCS_ACCESS_LOG="off",
            CCS_PURGE_INTERVAL="0.5",
            CCS_QUOTA_INTERVAL="1",
            CCS_REQUEST_TIME="2",
            CCS_CREDENTIAL_CACHE="0.5",
            **collector.environment(),
        )
        with (
            serving("--workers", "1", env=env) as server,
            new_account(server, database) as account,
        ):
            ran = ccs("quotas", "set", account.id, "--properties", "1000", env=env)
            assert ran.returncode == 0, ran.stderr
            with loaded(account):
                yield Operated(server, account)
            ccs("quotas", "clear", account.id, env=env)


@contextmanager
def loaded(account: Account) -> Iterator[None]:
    """Sends all kinds of requests for the length of the block, on more connections than there are slots."""
    stop = Event()

    def send(number: int) -> None:
        key = {"maven-api-key": account.key}
        place = f"{account.server_url}/v1/account/{account.id}/orders/s{number}/properties"
        with requests.Session() as http:
            # Proxies are looked up in the environment, which pytest changes in its own thread.
            http.trust_env = False
            while not stop.is_set():
                http.put(f"{place}/p", json=number, headers=key, timeout=30)
                http.get(place, headers=key, timeout=30)
                http.get(place, headers={"maven-api-key": "wrong"}, timeout=30)
                http.delete(place, headers=key, timeout=30)
                http.get(
                    f"{account.server_url}/v2/nothing",
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=30,
                )
                http.post(
                    f"{account.server_url}/v2/context/document/create",
                    json={"accountId": account.id, "nameSpace": "orders", "payload": {"a": 1}},
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=30,
                )
                stop.wait(0.1)

    token = account.token
    threads = [Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def scraped(server: Server) -> dict[str, str]:
    """The types of the metrics of a scrape, by name as on the page."""
    text = requests.get(f"{server.operations}/metrics", timeout=30).text
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(text)
    }


def registered() -> dict[str, str]:
    """The types of the metrics that the service's modules declare, by name as on the page."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in REGISTRY.collect()
        if family.name.startswith("ccs_")
    }


def test_the_page_lists_every_metric_with_its_type(operated: Operated) -> None:
    wait_until(lambda: "ccs_quota_used" in scraped(operated.server))
    wait_until(lambda: "ccs_purged_rows_total" in scraped(operated.server))
    wait_until(lambda: "ccs_connections" in scraped(operated.server))
    there = scraped(operated.server)
    assert registered() | there == documented()
    # Only this has nothing to show: no scrape has it before a line is dropped.
    assert documented().keys() - there.keys() <= {"ccs_log_lines_dropped_total"}


def test_the_page_explains_every_alert() -> None:
    explained = re.findall(r"^\| `(Ccs\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    names = re.findall(r"- alert: (\w+)", ALERTS)
    severities = re.findall(r"severity: (\w+)", ALERTS)
    assert explained == list(zip(names, severities, strict=True))


def test_every_alert_is_tested() -> None:
    tests = (HERE / "alerts_test.yaml").read_text()
    fires = set(re.findall(r"- alertname: (\w+)\n", tests))
    is_quiet = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\]", tests))
    assert fires == is_quiet == set(re.findall(r"- alert: (\w+)", ALERTS))


@needs_prometheus
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", str(OPERATE / "alerts.yaml")),
        ("test", "rules", str(HERE / "alerts_test.yaml")),
    ],
    ids=["check", "test"],
)
def test_promtool_accepts_the_alerts(arguments: tuple[str, ...]) -> None:
    ran = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_prometheus
def test_promtool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    """The test above can fail."""
    rules = ALERTS.replace("> 0.01", "> 0.5", 1)
    assert rules != ALERTS
    (tmp_path / "alerts.yaml").write_text(rules)
    tests = yaml.safe_load((HERE / "alerts_test.yaml").read_text())
    tests["rule_files"] = ["alerts.yaml"]
    tests["tests"] = [each for each in tests["tests"] if "CcsErrors" in str(each)]
    assert len(tests["tests"]) == 1
    (tmp_path / "test.yaml").write_text(json.dumps(tests))
    ran = subprocess.run(
        [PROMTOOL, "test", "rules", str(tmp_path / "test.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "CcsErrors" in ran.stdout + ran.stderr


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        response = requests.get(
            f"{self.url}/api/v1/query", params={"query": expression}, timeout=30
        )
        assert response.status_code == 200, f"{expression}: {response.text}"
        return [float(each["value"][1]) for each in response.json()["data"]["result"]]


@pytest.fixture(scope="module")
def prometheus(
    operated: Operated, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the service, with the alerts."""
    directory = tmp_path_factory.mktemp("prometheus")
    target = operated.server.operations.removeprefix("http://")
    (directory / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        f"rule_files: [{json.dumps(str(OPERATE / 'alerts.yaml'))}]\n"
        "scrape_configs:\n"
        "  - job_name: ccs\n"
        f"    static_configs: [{{targets: [{json.dumps(target)}]}}]\n"
    )
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            found = Prometheus(f"http://127.0.0.1:{port}")
            wait_until(lambda: _is_ready(found.url))
            yield found
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def queries() -> dict[str, str]:
    """The queries of the dashboard, as Grafana sends them for all instances, by panel and legend."""
    return {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        .replace("$__rate_interval", "10s")
        .replace("$instance", ".*")
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }


@needs_prometheus
def test_every_query_of_the_dashboard_returns_data(prometheus: Prometheus) -> None:
    missing = queries()
    assert len(missing) > 30

    def all_found() -> bool:
        for name, expression in list(missing.items()):
            # A quantile is not a number while nothing has happened.
            if any(map(isfinite, prometheus.query(expression))):
                del missing[name]
        return not missing

    try:
        wait_until(all_found, seconds=60, every=0.5)
    except AssertionError:
        pytest.fail(f"These queries return nothing: {missing}")


@needs_prometheus
def test_every_alert_finds_the_metrics_that_it_is_about(prometheus: Prometheus) -> None:
    """Without its threshold, each returns data; and Prometheus evaluates them without an error."""
    expressions = re.findall(r"expr: (?:\|\n)?(.*?)\n +(?:for|labels):", ALERTS, re.DOTALL)
    assert len(expressions) == len(re.findall("- alert:", ALERTS))
    for expression in expressions:
        # There are no responses with 5xx, so those with 2xx stand in for them.
        bare = re.sub(r"(?:>|==) [\d.]+(?=\s|$)", "", expression).replace("5..", "2..")
        for part in re.split(r"\bor\b", bare):
            if "log_lines_dropped" not in part:
                wait_until(lambda part=part: bool(prometheus.query(part)))  # type: ignore[misc]
    rules = requests.get(f"{prometheus.url}/api/v1/rules", timeout=30).json()["data"]["groups"]
    [group] = rules
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}


def test_the_dashboard_has_what_grafana_needs() -> None:
    """Unique ids, a place for each panel that no other has, and a data source that the user chooses."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "instance"}
    for panel in panels:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
            used = set(re.findall(r"ccs_\w+", target["expr"]))
            assert used or "up{" in target["expr"]
            for name in used:
                assert re.sub("_(bucket|sum|count)$", "", name) in documented(), name


def test_the_dashboard_shows_every_metric() -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", name)
        for name in re.findall(r"ccs_\w+", json.dumps(DASHBOARD["panels"]))
    }
    assert documented().keys() - shown <= {"ccs_quota_accounts"}
