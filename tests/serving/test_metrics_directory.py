"""The directory of an instance's metrics: made, swept after a kill, left alone while its instance lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ccs_server.serving.metrics_directory import metrics_directory

_KILLED = """
import os, signal
from ccs_server.serving.metrics_directory import metrics_directory
with metrics_directory() as directory:
    (directory / "counter_1.db").write_bytes(b"x")
    if os.fork():
        print(directory, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(0, 1)
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_it_is_removed_at_the_end(directory: Path) -> None:
    with metrics_directory() as made:
        assert made.parent == directory
    assert not list(directory.iterdir())


def test_what_a_killed_instance_left_is_removed_once_its_last_process_has_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout
        assert killed.stdin
        left = Path(killed.stdout.readline().strip())
        assert killed.wait() != 0
        with metrics_directory():
            assert left.exists(), "a worker of it lives"
        killed.stdin.close()
        # Its end is the worker's.
        assert killed.stdout.read() == ""
    with metrics_directory() as made:
        assert not left.exists()
        assert made.exists()


def test_others_that_live_are_left_alone() -> None:
    with metrics_directory() as one, metrics_directory() as other:
        assert one.exists()
        assert other.exists()


def test_what_has_no_lock_is_left_alone(directory: Path) -> None:
    """It is just being made."""
    new = directory / "ccs-metrics-new"
    new.mkdir()
    with metrics_directory():
        assert new.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_user_s_is_left_alone(directory: Path) -> None:
    foreign = directory / "ccs-metrics-foreign"
    foreign.mkdir()
    (foreign / "lock").touch()
    os.chown(foreign, 65534, 65534)
    with metrics_directory():
        assert foreign.exists()
