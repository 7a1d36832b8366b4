"""Directories that may not be used, data of another version, and disks without room."""

import json
import subprocess
from pathlib import Path

import pytest

from ccs_server.doctor.storage import check_data_dir
from ccs_server.embedded import POSTGRESQL_VERSION
from ccs_server.settings import Settings
from tests.support import namespaces
from tests.support.disks import disk
from tests.support.service import CCS, TIMEOUT_SECONDS, environment
from tests.support.users import as_ordinary_user


def make_cluster(directory: Path, version: str = POSTGRESQL_VERSION) -> Path:
    """Creates what the check looks at."""
    cluster = directory / "postgres"
    cluster.mkdir(mode=0o700)
    (cluster / "PG_VERSION").write_text(f"{version}\n")
    return cluster


def test_a_directory_that_exists_or_can_be_made_is_fine(short_path: Path) -> None:
    make_cluster(short_path)
    for directory in (short_path, short_path / "new" / "directory"):
        assert check_data_dir(Settings(data_dir=directory)) == []
    assert not (short_path / "new").exists()


def test_a_path_that_is_too_long_is_found() -> None:
    (found,) = check_data_dir(Settings(data_dir=Path("/tmp") / ("x" * 100)))  # noqa: S108 - not created
    assert "too long for a Unix socket" in found.what


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o770])
def test_data_that_other_users_can_open_are_found(short_path: Path, mode: int) -> None:
    cluster = make_cluster(short_path)
    cluster.chmod(mode)
    (found,) = check_data_dir(Settings(data_dir=short_path))
    assert f"{mode:04o}" in found.what
    assert found.remedy == f"Run 'chmod 700 {cluster}'."


def test_data_of_another_version_of_postgresql_are_found(short_path: Path) -> None:
    make_cluster(short_path, "17")
    (found,) = check_data_dir(Settings(data_dir=short_path))
    assert f"of PostgreSQL 17, and this release has {POSTGRESQL_VERSION}" in found.what


def findings(*command: str, **variables: str) -> dict[str, str]:
    """Runs `ccs doctor` as an ordinary user; returns the severity and text of each finding."""
    done = subprocess.run(
        [*command, "doctor", "--json"], check=False, capture_output=True, text=True,
        env=environment(**variables), cwd="/", timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert done.stderr == ""
    return {each["what"]: each["severity"] for each in json.loads(done.stdout)["findings"]}


def test_a_directory_of_another_user_is_found(nobodys_directory: Path) -> None:
    nobodys_directory.chmod(0o500)
    found = findings(*as_ordinary_user(*CCS), CCS_DATA_DIR=str(nobodys_directory / "data"))
    [what] = [each for each in found if "may not write" in each]
    assert str(nobodys_directory) in what
    assert found[what] == "problem"


def test_a_small_and_a_full_disk_are_found(nobodys_directory: Path) -> None:
    with disk(nobodys_directory, 500) as small:
        command = small.inside(*as_ordinary_user(*CCS))
        variables = {"CCS_DATA_DIR": f"{nobodys_directory}/data", "TMPDIR": str(nobodys_directory)}
        [(what, severity)] = findings(*command, **variables).items()
        assert what.startswith(f"The disk of {nobodys_directory}/data has 5")
        assert severity == "warning"
        small.fill()
        assert findings(*command, **variables) == {
            f"The disk of {nobodys_directory}/data has 0 MB left.": "problem"
        }


def test_a_machine_without_a_directory_for_temporary_files_is_found(
    nobodys_directory: Path,
) -> None:
    namespaces.need("--mount")
    read_only = "for each in /tmp /var/tmp; do mount --bind $each $each; mount -o remount,ro,bind $each; done"
    inside = [namespaces.UNSHARE, "--mount", "sh", "-c", f'{read_only}; exec "$@"', "sh"]
    command = [*inside, *as_ordinary_user(*CCS)]
    found = findings(*command, CCS_DATA_DIR=str(nobodys_directory), TMPDIR=str(nobodys_directory))
    assert found["There is no directory for temporary files that can be written."] == "problem"
