"""`ccs doctor`: its output and its exit code. tests/doctor tests what it finds."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccs_server.cli import main
from tests.support.ports import free_port
from tests.support.service import Server

SUBJECTS = ["variables", "addresses", "data directory", "disk", "database"]


def run(*arguments: str, **variables: str) -> Result:
    # The tests themselves have a variable that is no setting.
    env: dict[str, str | None] = {
        "CCS_TESTS_DIRECTORY": None,
        "CCS_PORT": str(free_port()),
        **variables,
    }
    return CliRunner().invoke(main, ["doctor", *arguments], env=env, catch_exceptions=False)


def output(*arguments: str, **variables: str) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(run(*arguments, "--json", **variables).stdout)
    return printed


def test_a_new_installation_has_no_problems(short_path: Path) -> None:
    done = run(CCS_DATA_DIR=str(short_path / "data"))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        *(f"{subject}: fine" for subject in SUBJECTS), "", "Problems: 0. Warnings: 0.",
    ]  # fmt: skip
    assert not (short_path / "data").exists()


def test_an_external_database_and_a_public_url_are_checked(own_url: str, server: Server) -> None:
    said = output("--url", server.url, CCS_DATABASE_URL=own_url)
    assert said["checked"] == ["variables", "addresses", "disk", "database", "proxy"]
    # The cluster of the tests does not sync its files.
    assert [each["subject"] for each in said["findings"]] == ["database"]


def test_a_warning_does_not_fail_and_says_what_why_and_what_to_do(short_path: Path) -> None:
    done = run(CCS_DATA_DIR=str(short_path / "data"), CCS_PROT="1")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:4] == [
        "variables: WARNING",
        "  CCS_PROT is not a setting.",
        "  Why it matters: Nothing reads it, so the setting that it stands for has its default.",
        "  What to do: Did you mean CCS_PORT?",
    ]
    assert done.stdout.endswith("Problems: 0. Warnings: 1.\n")


def test_a_problem_fails(own_url: str) -> None:
    done = run("--url", f"http://127.0.0.1:{free_port()}", CCS_DATABASE_URL=own_url)
    assert done.exit_code == 1
    assert "proxy: PROBLEM\n" in done.stdout


def test_without_valid_settings_the_other_checks_wait() -> None:
    said = output(CCS_DRAIN_TIME="soon")
    assert said["checked"] == ["variables"]
    assert [(each["subject"], each["severity"]) for each in said["findings"]] == [
        ("variables", "problem")
    ]


@pytest.mark.parametrize(
    "url", ["ccs.example.org", "ftp://a", "http://", "http://a:b", "http://[x"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    done = run("--url", url)
    assert done.exit_code == 2
    assert "It must be a URL such as https://ccs.example.org" in done.stderr
