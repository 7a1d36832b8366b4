"""If the disk of the embedded PostgreSQL is full, the service reports it, loses no data, and resumes when it can."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import monotonic

import pytest
import requests

from tests.support.disks import Disk, disk
from tests.support.service import CCS, TIMEOUT_SECONDS, environment
from tests.support.users import as_ordinary_user
from tests.support.waiting import wait_until

SHUTDOWN_TIMEOUT = 5
MARGIN_SECONDS = 3.0
"""A margin for a busy machine, in seconds."""


class Service:
    """`ccs serve` on a disk, with the account that its first start creates."""

    def __init__(self, disk: Disk) -> None:
        self._command = disk.inside(
            *as_ordinary_user(*CCS, "serve", "--port", "0", "--json", "--workers", "1")
        )
        self._env = environment(
            CCS_DATA_DIR=str(disk.directory),
            CCS_ACCESS_LOG="off",
            CCS_SHUTDOWN_TIMEOUT=str(SHUTDOWN_TIMEOUT),
        )
        self._key = ""
        self.log = ""

    def fails(self) -> str:
        """Starts the service, which must fail; returns its error message."""
        ended = subprocess.run(
            self._command,
            check=False, env=self._env, cwd="/", capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
        assert ended.returncode == 1
        return ended.stderr

    @contextmanager
    def runs(self) -> Iterator[None]:
        """Runs the service during the block; it must then stop cleanly and in time."""
        process = subprocess.Popen(
            self._command,
            env=self._env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stdout
            assert process.stderr
            try:
                said = json.loads(process.stdout.readline())
                self._key = said.get("key", self._key)
                self.url = said["url"]
                yield
                began = monotonic()
                process.terminate()
                assert process.wait(TIMEOUT_SECONDS) == 0
                assert monotonic() - began < SHUTDOWN_TIMEOUT + 0.5 + MARGIN_SECONDS
                self.log = process.stderr.read()
            finally:
                process.kill()

    def save(self, name: str, value: str) -> bool:
        """Saves a property; returns whether that was acknowledged."""
        answer = requests.put(
            f"{self.url}/v1/account/demo/disk/{name}/properties/p",
            json=value, headers={"maven-api-key": self._key}, timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
        assert answer.status_code in {204, 503}
        return answer.status_code == 204

    def read(self, name: str) -> object:
        """Returns the property that was saved under that name."""
        return requests.get(
            f"{self.url}/v1/account/demo/disk/{name}/properties/p",
            headers={"maven-api-key": self._key}, timeout=TIMEOUT_SECONDS,
        ).json()  # fmt: skip

    def is_healthy(self) -> bool:
        """Whether the service reports that it is ready."""
        return requests.get(f"{self.url}/healthz", timeout=TIMEOUT_SECONDS).status_code == 200


@pytest.fixture
def directory(nobodys_directory: Path) -> Path:
    """The directory where the disk is mounted."""
    return nobodys_directory


def test_a_first_start_on_a_full_disk_reports_it(directory: Path) -> None:
    with disk(directory, 12) as small:
        said = Service(small).fails()
    assert said == (
        f"Error: The disk that holds the data directory {directory} is full; free some space on it.\n"
    )


def test_no_data_is_lost_on_a_full_disk_and_service_resumes(directory: Path) -> None:
    chance = Random(1)
    acknowledged: dict[str, str] = {}

    def save() -> bool:
        name, value = f"s{chance.random()}", chance.randbytes(100_000).hex()
        saved = service.save(name, value)
        if saved:
            acknowledged[name] = value
        return saved

    with disk(directory, 150) as small:
        service = Service(small)
        with service.runs():
            assert save()
            small.fill()
            wait_until(lambda: not save())
            assert service.is_healthy()
            small.free()
            wait_until(save)
            small.fill()
            wait_until(lambda: not save())
        assert "Traceback" not in service.log
        small.fill()  # the stop has given some of it back
        assert service.fails().endswith("is full; free some space on it.\n")
        small.free()
        with service.runs():
            assert {name: service.read(name) for name in acknowledged} == acknowledged
