"""Wheels contain only their package, and the service runs unprivileged on a read-only file system."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import psutil
import pytest
import requests

from tests.support import namespaces
from tests.support.service import CCS, environment
from tests.support.users import NOBODY, as_ordinary_user
from tests.trust.conftest import Record
from tests.trust.reliability import Topic

ROOT = Path(__file__).parents[2]
_ASSETS = "ccs_server/console/static"


@pytest.mark.parametrize(("path", "package"), [("server", "ccs_server"), ("sdk", "ccs_sdk")])
def test_a_wheel_contains_only_its_package(
    path: str, package: str, tmp_path: Path, record: Record
) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / path, source)
    # Stray files on a developer's machine must not get into the wheel.
    for stray in (
        ".env",
        f"src/{package}/.env",
        f"src/{package}/local.db",
        f"src/{package}/notes.txt~",
    ):
        (source / stray).write_text("SECRET=1")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    allowed = re.compile(
        rf"{package}/(\w+/)*(\w+\.py|py\.typed|script\.py\.mako)|{_ASSETS}/.+|{package}-[\w.]+\.dist-info/.+"
    )
    assert [name for name in names if not allowed.fullmatch(name)] == []
    expected = {
        PurePosixPath(file.relative_to(ROOT / path / "src"))
        for file in (ROOT / path / "src" / package).rglob("*")
        if file.suffix in {".py", ".mako"}
        or file.name == "py.typed"
        or (_ASSETS in file.as_posix() and file.is_file())
    }
    assert {PurePosixPath(name) for name in names if name.startswith(f"{package}/")} == expected
    record(
        Topic.SUPPLY_CHAIN,
        f"The wheel of {package} contains the package and nothing else",
        f"{len(names)} files",
    )


def test_the_container_does_not_run_as_root() -> None:
    """Reads the Dockerfile. `test_container.py` performs its steps, in the full form."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in {"root", "0"}
    assert not [line for line in lines if re.match(r"(ADD|ENV .*(KEY|TOKEN|PASSWORD))", line)]
    copied = {
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied <= {"requirements/build.txt", "requirements/server.txt", "server"}
    assert re.search(r"^ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}$", "\n".join(lines), re.MULTILINE)
    assert any("--require-hashes" in line for line in lines)


# Makes all mounts below the root read-only, except one directory. Then root becomes nobody.
_NOBODY_READING = """
mount --make-rprivate / && mount --bind "$TMPDIR" "$TMPDIR" && mount -o remount,bind,ro / &&
exec "$@"
"""


def test_the_service_runs_unprivileged_on_a_read_only_file_system(
    nobodys_directory: Path, record: Record
) -> None:
    """Runs the service as in the container, with the embedded PostgreSQL."""
    namespaces.need("--mount")
    env = environment(
        TMPDIR=str(nobodys_directory),
        CCS_DATA_DIR=str(nobodys_directory / "data"),
        HOME="/nonexistent",
        PYTHONDONTWRITEBYTECODE="1",
    )
    serve = as_ordinary_user(*CCS, "serve", "--port", "0", "--json", "--workers", "1")
    process = subprocess.Popen(
        [namespaces.UNSHARE, "--mount", "/bin/sh", "-c", _NOBODY_READING, "sh", *serve],
        env=env, cwd="/", stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    try:
        ready = process.stdout.readline()
        assert ready, process.wait(30)
        greeting = json.loads(ready)
        url = f"{greeting['url']}/v1/account/{greeting['account']}/ns/properties/p"
        headers = {"maven-api-key": greeting["key"]}
        assert requests.put(url, json=1, headers=headers, timeout=10).status_code == 204
        assert requests.get(url, headers=headers, timeout=10).json() == 1
        assert requests.get(f"{greeting['url']}/docs", timeout=10).ok
        service = psutil.Process(process.pid)
        users = {child.uids().effective for child in [service, *service.children(recursive=True)]}
        assert users == {NOBODY}
        mounts = Path(f"/proc/{process.pid}/mounts").read_text().splitlines()
        assert any(line.split()[1] == "/" and "ro" in line.split()[3].split(",") for line in mounts)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    record(
        Topic.SUPPLY_CHAIN,
        "`ccs serve` runs as nobody on a read-only file system, except its data and temporary directories",
        "with its embedded PostgreSQL, in a mount namespace",
    )
