"""`ccs backup` and `ccs restore`: the file is complete or does not appear, and only its owner can read it."""

import json
import resource
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from ccs_server.cli import main
from ccs_server.store import schema
from tests.support.service import CCS, TIMEOUT_SECONDS, environment
from tests.support.waiting import wait_until


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {"CCS_DATABASE_URL": database_url}


def run(*arguments: str | Path, env: Mapping[str, str]) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], env=env)


def error(result: Result) -> str:
    """Runs a command that fails; returns its error message."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def test_backup_and_restore_report_their_contents(
    env: dict[str, str], empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "ccs.backup"
    made = run("backup", file, "--json", env=env)
    assert made.exit_code == 0, made.stderr
    said = json.loads(made.stdout)
    assert (said.pop("file"), said.pop("bytes")) == (str(file), file.stat().st_size)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    restored = run("restore", file, "--json", env={"CCS_DATABASE_URL": empty_database_url})
    assert restored.exit_code == 0, restored.stderr
    assert json.loads(restored.stdout) == said
    assert said.keys() == {"schema", "created_at", "rows"}


def test_an_existing_file_is_replaced_only_if_asked_to(env: dict[str, str], tmp_path: Path) -> None:
    file, link = tmp_path / "ccs.backup", tmp_path / "latest"
    file.write_text("old")
    link.symlink_to(file)
    assert "exists; name another file" in error(run("backup", link, env=env))
    assert file.read_text() == "old"
    assert run("backup", "--force", link, env=env).exit_code == 0
    assert link.is_symlink()
    assert file.read_bytes().startswith(b"PK")


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("name", ["-", "/dev/null", "."])
def test_a_target_that_is_not_a_regular_file_is_refused(
    env: dict[str, str], name: str, force: list[str]
) -> None:
    assert "is not a regular file" in error(run("backup", *force, name, env=env))
    assert Path("/dev/null").is_char_device()


def test_a_directory_that_cannot_be_written_is_reported(
    env: dict[str, str], tmp_path: Path
) -> None:
    failed = run("backup", tmp_path / "none" / "ccs.backup", env=env)
    assert "cannot be written (No such file or directory)" in error(failed)


@pytest.mark.parametrize("name", ["none", ".", "/dev/stdin"])
def test_a_file_that_cannot_be_restored_is_reported(
    env: dict[str, str], tmp_path: Path, name: str
) -> None:
    assert "is not a file that exists" in error(run("restore", tmp_path / name, env=env))


def test_a_full_disk_leaves_no_incomplete_backup(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ccs.backup"
    file.write_text("old")
    # Python would cut off the bytecode that it writes too, and leave it to all other processes.
    unwritten = environment(**env, PYTHONDONTWRITEBYTECODE="1")
    failed = subprocess.run(
        [*CCS, "backup", "--force", str(file)],
        check=False, capture_output=True, text=True, env=unwritten, timeout=TIMEOUT_SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr == f"Error: {file} cannot be written (File too large).\n"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_that_is_killed_leaves_no_file(empty_database_url: str, tmp_path: Path) -> None:
    schema.migrate(empty_database_url)
    file = tmp_path / "ccs.backup"
    env = environment(CCS_DATABASE_URL=empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("LOCK TABLE property IN ACCESS EXCLUSIVE MODE")

        def is_waiting() -> bool:
            waiting = "SELECT FROM pg_locks WHERE relation = 'property'::regclass AND NOT granted"
            return connection.execute(waiting).fetchone() is not None

        with subprocess.Popen([*CCS, "backup", str(file)], env=env) as process:
            wait_until(is_waiting)
            process.kill()
    assert not file.exists()
