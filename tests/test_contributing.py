"""What contributors and releases rely on: templates, hooks, the development container, reproducible builds."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEMPLATES = [
    path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
]
SESSIONS = {
    node.name: ast.get_docstring(node)
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and node.decorator_list
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_asks_named_questions(path: Path) -> None:
    template: dict[str, Any] = yaml.safe_load(path.read_text())
    assert template["name"]
    assert template["description"]
    questions = [(each["id"], each["attributes"]["label"]) for each in template["body"]]
    assert len(dict(questions)) == len(questions) > 0
    assert all(label for _, label in questions)


def test_every_session_that_a_hook_or_a_page_names_exists() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    release = (ROOT / "docs/release.md").read_text()
    named = re.findall(r"nox -s (\w+)", "\n".join([*entries, release]))
    assert len(named) > len(entries)
    assert set(named) <= SESSIONS.keys()


def test_every_session_says_what_it_does() -> None:
    assert all(SESSIONS.values()), SESSIONS


def test_the_development_container_has_the_programs_that_the_tests_use() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    check = (ROOT / ".ci/run").read_text()
    loops = re.findall(r"for program in (.*); do", check)
    needed = {name for loop in loops for name in loop.split()} | {"postgresql-15"}
    assert needed <= set(re.split(r"\s+", container["onCreateCommand"]))
    (shipped,) = re.findall(r"PYTHON_IMAGE=(python:[\d.]+)", (ROOT / "Dockerfile").read_text())
    assert container["image"].startswith(f"{shipped}-")


@pytest.mark.parametrize("name", ["server", "sdk"])
def test_the_same_source_makes_the_same_files(name: str, tmp_path: Path) -> None:
    """In another directory, at another time and by a user with another umask."""
    one = _built(name, tmp_path / "one", time=1_700_000_000, umask=0o022)
    other = _built(name, tmp_path / "two" / "deeper", time=1_800_000_000, umask=0o027)
    assert {path.suffix for path in one} == {".gz", ".whl"}
    for mine, theirs in zip(one, other, strict=True):
        assert mine.name == theirs.name
        assert mine.read_bytes() == theirs.read_bytes(), mine.name


def _built(name: str, directory: Path, *, time: int, umask: int) -> list[Path]:
    """Builds the wheel and the source archive of a copy, as if it was checked out at this time with this umask."""
    directory.mkdir(parents=True)
    # Hatchling leaves out what the repository's .gitignore names.
    shutil.copy(ROOT / ".gitignore", directory)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dist")
    source = Path(shutil.copytree(ROOT / name, directory / name, ignore=ignored))
    for path in source.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.utime(path, (time, time))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", directory / "dist"],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    return sorted((directory / "dist").iterdir())
