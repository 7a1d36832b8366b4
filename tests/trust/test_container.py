"""The steps of the Dockerfile in a clean Debian: the image builds, contains no build tools, and runs correctly.

It uses neither Docker nor the base image of the Dockerfile, because they are not available everywhere.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_until
from tests.trust import images
from tests.trust.conftest import Form, Record
from tests.trust.images import Container, Image
from tests.trust.reliability import Topic

ROOT = Path(__file__).parents[2]
DEBOOTSTRAP = "/usr/sbin/debootstrap"
DEBIAN = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
PORT = "9000"
USER = 10_001

# The package installer that the base image of the Dockerfile has, and Debian has not.
PIP_OF_BASE = (
    "usr/local/bin/pip3",
    "usr/local/lib/python3.11/site-packages/pip/__init__.py",
    "usr/local/lib/python3.11/ensurepip/__init__.py",
)

CALL = """
import json, sys, urllib.request
method, url, key, body = json.loads(sys.argv[1])
headers = {"maven-api-key": key, "Content-Type": "application/json"}
request = urllib.request.Request(url, body.encode() if body else None, headers, method=method)
with urllib.request.urlopen(request, timeout=10) as response:
    print(response.read().decode())
"""
BUILD_MODULES = ("pip", "setuptools", "wheel", "build", "hatchling", "editables")
BUILD_PROGRAMS = ("cc", "gcc", "ld", "make", "pip", "pip3", "git")


@pytest.fixture
def image(form: Form) -> Iterator[Image]:
    """The image that the steps of the Dockerfile build from a new Debian."""
    if not form.is_full:
        pytest.skip("a whole build of the container: in the full form")
    if os.geteuid() != 0 or not Path(DEBOOTSTRAP).exists():
        pytest.skip("THE DOCKERFILE IS NOT TESTED: it takes root, and the program debootstrap")
    # The image is too large for the temporary directories that pytest keeps.
    with tempfile.TemporaryDirectory(prefix="ccs-image-") as name:
        directory = Path(name)
        # The container's user must be able to pass through to its root.
        directory.chmod(0o755)
        base = directory / "base"
        made = subprocess.run(
            [DEBOOTSTRAP, "--variant=minbase", f"--include={PACKAGES}", DEBIAN, base],
            check=False, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout
        for path in PIP_OF_BASE:
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).touch()
        yield images.build(ROOT / "Dockerfile", base, directory)


def call(container: Container, key: str, method: str, path: str, body: str = "") -> str:
    """Sends a request inside the container. Returns the body of the response."""
    arguments = json.dumps([method, f"http://127.0.0.1:{PORT}{path}", key, body])
    done = container.execute("/opt/ccs/bin/python3", "-c", CALL, arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def key_in_greeting(container: Container) -> str:
    """Returns the key that the service prints at its first start."""
    assert container.process.stdout
    for line in container.process.stdout:
        if line.strip().startswith("export "):
            return line.strip().rpartition("CCS_API_KEY=")[2]
    raise AssertionError(f"ended with {container.process.wait()}")


def check_no_build_tools(image: Image, container: Container) -> None:
    find = f"import importlib.util as u; print([m for m in {BUILD_MODULES} if u.find_spec(m)])"
    assert container.execute("/opt/ccs/bin/python3", "-c", find).stdout == "[]\n"
    search = f"command -v {' '.join(BUILD_PROGRAMS)}"
    assert container.execute("/bin/sh", "-c", search).stdout == ""
    assert not [path for path in PIP_OF_BASE if image.find(f"/{path}").exists()]
    assert not image.find("/src").exists()


def test_the_dockerfile_builds_and_runs(
    image: Image, record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    volume = tmp_path_factory.mktemp("volume")
    with images.running(image, volume, CCS_PORT=PORT) as container:
        key = key_in_greeting(container)
        assert container.is_healthy()
        assert not container.is_healthy(CCS_PORT="1"), (
            "the health check must use the configured port"
        )
        path = "/v1/account/demo/ns/properties/p"
        call(container, key, "PUT", path, '"kept"')
        check_no_build_tools(image, container)
        assert container.init.name() == "tini"
        users = {each.uids().effective for each in container.init.children(recursive=True)}
        assert users == {USER}
        assert container.execute("/bin/sh", "-c", "touch /opt/ccs/x").returncode != 0
        container.execute("/bin/sh", "-c", "sleep 0.1 & exit 0")
        wait_until(
            lambda: (
                not [each for each in container.init.children() if each.name() in {"sleep", "sh"}]
            )
        )
        children = container.init.children(recursive=True)
        assert container.stop() == 0
        assert not [each for each in children if psutil.pid_exists(each.pid)]
    with images.running(image, volume, CCS_PORT=PORT) as container:
        wait_until(container.is_healthy, seconds=60)
        assert call(container, key, "GET", path) == '"kept"'
        assert container.stop() == 0
    record(
        Topic.SUPPLY_CHAIN,
        "The steps of the Dockerfile build an image without build tools in a clean Debian; it runs read-only as an "
        "unprivileged user under an init process, is healthy at the configured port, and stops properly.",
        f"Debian {DEBIAN}'s Python; 2 starts on one volume; {len(BUILD_MODULES)} modules and {len(BUILD_PROGRAMS)} "
        "build programs searched for: none found",
    )
