"""The files in `deploy/`: validators accept them, and what they say of the service is true.

tests/end_to_end/test_deployed.py runs what can run without a container engine.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from ccs_server.cli import main
from ccs_server.settings import Settings
from tests.support import deployed
from tests.support.service import Server

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VARIABLES = {f"CCS_{field.name.upper()}" for field in fields(Settings)}
# Those that compose.yaml reads from deploy/.env.
OF_COMPOSE = {"CCS_DATABASE_PASSWORD"}
USER = 10_001
SPARE_SECONDS = 15


@cache
def manifests() -> dict[str, dict[str, Any]]:
    """The manifests that are applied, by kind."""
    names = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    loaded = [yaml.safe_load((DEPLOY / "kubernetes" / name).read_text()) for name in names]
    assert len({manifest["kind"] for manifest in loaded}) == len(loaded)
    return {manifest["kind"]: manifest for manifest in loaded}


def pods() -> list[dict[str, Any]]:
    return [manifests()[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "Job")]


def commands() -> list[list[str]]:
    """The arguments of `ccs` in each of the files."""
    unit = re.findall(r"^ExecStart=/opt/ccs/bin/ccs (.*)$", deployed.UNIT.read_text(), re.MULTILINE)
    compose = [
        service["command"]
        for service in deployed.compose()["services"].values()
        if service["image"] == "ccs:latest"
    ]
    kubernetes = [container["args"] for pod in pods() for container in pod["containers"]]
    return [*(line.split() for line in unit), *compose, *kubernetes]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_variable_is_one_that_the_service_knows(file: Path) -> None:
    named = set(re.findall(r"\bCCS_[A-Z_]+\b", file.read_text()))
    assert named <= VARIABLES | OF_COMPOSE


def test_every_command_and_option_exists() -> None:
    assert len(commands()) == 6
    for name, *arguments in commands():
        options = {option for each in main.commands[name].params for option in each.opts}
        assert {each for each in arguments if each.startswith("--")} <= options
    done = CliRunner().invoke(main, ["serve", "--workers", "2", "--help"])
    assert done.exit_code == 0


def test_docker_compose_accepts_the_file_and_needs_every_secret() -> None:
    for variable in deployed.SECRETS:
        environment = {name: text for name, text in deployed.SECRETS.items() if name != variable}
        refused = deployed.read_compose(environment)
        assert refused.returncode != 0
        assert f"required variable {variable} is missing" in refused.stderr
    services = deployed.compose()["services"]
    for name in ("ccs1", "ccs2"):
        settings = Settings.from_environment(services[name]["environment"])
        assert settings.transaction_pooler == "prepared"
        assert _seconds(services[name]["stop_grace_period"]) >= _longest_end(settings)
    pooler = services["pgbouncer"]["environment"]
    assert pooler["POOL_MODE"] == "transaction"
    assert int(pooler["MAX_PREPARED_STATEMENTS"]) == 500, "as in docs/operate/pgbouncer.ini"


def test_haproxy_and_prometheus_ask_the_ports_that_the_image_serves() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (port,) = re.findall(r"CCS_PORT=(\d+)", dockerfile)
    balanced = re.findall(
        r"^    server (\S+) (\S+):(\d+)$", deployed.HAPROXY.read_text(), re.MULTILINE
    )
    assert {host for _, host, _ in balanced} == {"ccs1", "ccs2"}
    assert {number for _, _, number in balanced} == {port}
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == ["ccs1:9464", "ccs2:9464"]


def test_every_file_that_a_container_mounts_exists_among_them_the_alerts_and_the_dashboard() -> (
    None
):
    mounted = {
        Path(volume["source"]): volume["target"]
        for service in deployed.compose()["services"].values()
        for volume in service.get("volumes", ())
        if volume["type"] == "bind"
    }
    assert [path for path in mounted if not path.is_file()] == []
    targets = {path.name: target for path, target in mounted.items()}
    (rules,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["rule_files"]
    assert targets["alerts.yaml"] == rules
    (provider,) = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yml").read_text())["providers"]
    dashboard = Path(targets["grafana-dashboard.json"])
    assert dashboard.parent == Path(provider["options"]["path"])


def test_pods_are_scaled_by_a_metric_that_the_service_has() -> None:
    scaled = yaml.safe_load((DEPLOY / "kubernetes" / "autoscaler.yaml").read_text())
    named = [each["pods"]["metric"]["name"] for each in scaled["spec"]["metrics"] if "pods" in each]
    documented = (ROOT / "docs" / "operate" / "monitoring.md").read_text()
    assert named
    assert all(f"| `{name}` |" in documented for name in named)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("file", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_knows_every_field_of_the_manifests(file: Path, version: str) -> None:
    manifest = yaml.safe_load(file.read_text())
    if manifest["kind"] == "Kustomization":
        names = set(manifest["resources"])
        assert names | {file.name} == {path.name for path in KUBERNETES}
        return
    assert kubernetes_validate.validate(manifest, version, strict=True)
    manifest["spce"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_pods_run_as_the_image_s_user_and_may_write_only_to_memory() -> None:
    assert re.findall(r"^USER (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == [
        f"{USER}:{USER}"
    ]
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108


def test_a_service_named_ccs_does_not_set_the_port_of_its_pods() -> None:
    """Kubernetes would set CCS_PORT to tcp://ADDRESS:PORT, which is no port."""
    assert manifests()["Service"]["metadata"]["name"] == "ccs"
    assert all(pod["enableServiceLinks"] is False for pod in pods())


def test_a_pod_has_the_time_that_an_instance_needs_to_end() -> None:
    settings = Settings.from_environment(manifests()["ConfigMap"]["data"])
    assert pods()[0]["terminationGracePeriodSeconds"] >= _longest_end(settings)


def test_selectors_find_the_pods_of_the_service_and_not_of_the_migration() -> None:
    deployment, job = (
        manifests()[kind]["spec"]["template"]["metadata"] for kind in ("Deployment", "Job")
    )
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        selector = manifests()[kind]["spec"]["selector"]
        labels = selector.get("matchLabels", selector).items()
        assert labels <= deployment["labels"].items()
        assert not labels <= job["labels"].items()
    target = manifests()["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (
        "Deployment",
        manifests()["Deployment"]["metadata"]["name"],
    )


def test_every_probe_is_answered(server: Server) -> None:
    (container,) = pods()[0]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = Settings.from_environment(manifests()["ConfigMap"]["data"])
    assert ports == {"http": 8000, "operations": settings.operations_port}
    addresses = {"http": server.url, "operations": server.operations}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        answer = deployed.get(f"{addresses[asked['port']]}{asked['path']}")
        assert answer.status == 200, probe


def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("THE UNIT IS NOT TESTED: it takes systemd-analyze")
    unit = tmp_path / "ccs.service"
    text = deployed.UNIT.read_text()
    # The program must exist; everything else is as shipped.
    unit.write_text(text.replace("/opt/ccs/bin/ccs", sys.executable))
    checked = _run(analyze, "verify", "--man=no", str(unit))
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    # From 0, none, to 10, all that root may do.
    exposed = _run(analyze, "security", "--offline=true", "--threshold=15", "--no-pager", str(unit))
    assert exposed.returncode == 0, exposed.stdout[-300:]
    unit.write_text(text.replace("/opt/ccs/bin/ccs", sys.executable).replace("UMask", "Umaks"))
    assert "Umaks" in _run(analyze, "verify", "--man=no", str(unit)).stderr


def test_systemd_waits_until_the_service_has_ended() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(deployed.UNIT)
    assert _seconds(parser["Service"]["TimeoutStopSec"] + "s") >= _longest_end(Settings())
    assert parser["Service"]["User"] == "ccs"


def _longest_end(settings: Settings) -> float:
    """The seconds that an instance may take to end, and as many as the embedded PostgreSQL then may."""
    return settings.drain_time + settings.shutdown_timeout + SPARE_SECONDS


def _seconds(text: str) -> float:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(\d+)s", text).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(seconds)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
