"""The unit `deploy/ccs.service` under a real systemd: it starts, survives a kill, and stops."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import deployed
from tests.support.waiting import wait_until
from tests.trust import images, machines
from tests.trust.conftest import Form, Record
from tests.trust.machines import Machine
from tests.trust.reliability import Topic
from tests.trust.test_container import DEBIAN, DEBOOTSTRAP, PACKAGES, PIP_OF_BASE, ROOT

URL = "http://127.0.0.1:8000"
WAIT_SECONDS = 120


@pytest.fixture
def root(form: Form) -> Iterator[Path]:
    """A new Debian with systemd, and with the service where the unit expects it."""
    if not form.is_full:
        pytest.skip("a whole Debian: in the full form")
    if os.geteuid() != 0 or not Path(DEBOOTSTRAP).exists() or not machines.NSPAWN.exists():
        pytest.skip("THE UNIT IS NOT RUN: it takes root, debootstrap and systemd-container")
    with tempfile.TemporaryDirectory(prefix="ccs-unit-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        base = directory / "base"
        packages = f"{PACKAGES},curl,dbus,procps,systemd,systemd-sysv"
        made = subprocess.run(
            [DEBOOTSTRAP, "--variant=minbase", f"--include={packages}", DEBIAN, base],
            check=False, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout
        for path in PIP_OF_BASE:
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).touch()
        # The image has the user of the unit, and /opt/ccs.
        yield images.build(ROOT / "Dockerfile", base, directory).root


def install(root: Path) -> None:
    """Installs the unit as docs/operate/ship.md does."""
    shutil.copy(deployed.UNIT, root / "etc" / "systemd" / "system")
    enabled = ["systemctl", f"--root={root}", "enable", deployed.UNIT.name]
    subprocess.run(enabled, check=True, capture_output=True)


def curl(machine: Machine, path: str, *arguments: str) -> str:
    return machine.run("curl", "-fsS", "--max-time", "10", f"{URL}{path}", *arguments).stdout


def is_ready(machine: Machine) -> bool:
    return "ok" in curl(machine, "/readyz")


def test_the_unit_runs(root: Path, record: Record, tmp_path: Path) -> None:
    install(root)
    with machines.booted(root, tmp_path / "log") as machine:
        wait_until(lambda: is_ready(machine), seconds=WAIT_SECONDS)
        journal = machine.run("journalctl", "--unit", "ccs", "--output", "cat").stdout
        (key,) = re.findall(r"CCS_API_KEY=(ccs_\S+)", journal)
        headers = ("-H", f"maven-api-key: {key}", "-H", "content-type: application/json")
        saved = "/v1/account/demo/ns/properties/p"
        curl(machine, saved, *headers, "-X", "PUT", "-d", '"kept"')
        first = machine.show("ccs", "MainPID")
        assert machine.run("ps", "-o", "user=", first).stdout.strip() == "ccs"
        # Killed: systemd starts it again, and what it had acknowledged is there.
        machine.run("kill", "-9", first)
        wait_until(lambda: machine.show("ccs", "NRestarts") == "1", seconds=WAIT_SECONDS)
        wait_until(lambda: is_ready(machine), seconds=WAIT_SECONDS)
        assert curl(machine, saved, *headers) == '"kept"'
        # Stopped: with exit code 0, and nothing is left.
        assert machine.run("systemctl", "stop", "ccs").returncode == 0
        assert machine.show("ccs", "Result") == "success"
        assert machine.show("ccs", "ExecMainStatus") == "0"
        assert machine.run("pgrep", "-u", "ccs").stdout == ""
    record(
        Topic.SUPPLY_CHAIN,
        "The systemd unit runs the service with its embedded PostgreSQL, without capabilities and on a read-only "
        "system; killed, it starts again with all that was acknowledged; stopped, it leaves no process.",
        f"systemd of Debian {DEBIAN}, 1 kill",
    )
