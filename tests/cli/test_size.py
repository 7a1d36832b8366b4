"""`ccs size`: its output and its errors. tests/domain/test_sizing.py tests the calculation."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from ccs_server.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "sizing.md"
EXAMPLES = re.findall(r"```console\n\$ ccs (size .*?)\n(.*?)```", PAGE.read_text(), re.DOTALL)
LOAD = ("--properties", "1e9", "--saves", "20000", "--reads", "100000")


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
def test_an_example_of_the_page_prints_what_the_page_shows(command: str, printed: str) -> None:
    done = CliRunner().invoke(main, shlex.split(command))
    assert (done.exit_code, done.stdout) == (0, printed)


def test_programs_get_the_same_as_numbers() -> None:
    done = CliRunner().invoke(main, ["size", *LOAD, "--cores", "8", "--json"])
    said = json.loads(done.stdout)
    assert said["shards"] > 1
    assert said["machines"] == said["instances"] + 3 * said["shards"]
    assert said["limits"].keys() == {"cores", "memory", "disk", "transaction ids"}
    assert said["wal_a_day"] == said["wal_a_second"] * 86_400


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--properties", "many"),
        ("--properties", "0"),
        ("--saves", "-1"),
        ("--saves", "nan"),
        ("--reads", "inf"),
        ("--reads", "1e16"),
        ("--bytes", "0"),
        ("--hot", "1.5"),
        ("--cores", "0.5"),
        ("--memory", ""),
        ("--disk", "1 TB"),
    ],
)
def test_bad_input_gets_one_sentence_that_names_the_option(option: str, text: str) -> None:
    done = CliRunner().invoke(main, ["size", *LOAD, option, text])
    assert (done.exit_code, done.stdout) == (2, "")
    [*_, sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"Error: Invalid value for '{option}': It must be a number from ")
    assert sentence.endswith(f"not {text!r}.")


def test_a_missing_option_is_named() -> None:
    done = CliRunner().invoke(main, ["size", *LOAD[:4]])
    assert done.exit_code == 2
    assert "Missing option '--reads'" in done.stderr
