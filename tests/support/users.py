"""Running programs as an ordinary user, also where the tests run as root, as they do in most containers."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

NOBODY = 65_534
"""A user that every system has."""


def as_ordinary_user(*command: str) -> list[str]:
    """The command line that runs a program as an ordinary user: as ourselves, or as nobody where we are root."""
    if os.geteuid() != 0:
        return list(command)
    return [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        *_eyes(),
        *command,
    ]


@cache
def _eyes() -> tuple[str, ...]:
    """What lets nobody read our Python where that stands below root's home; no mode of a directory is changed."""
    for options in ((), ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")):
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *options]
        tried = subprocess.run(
            [*command, sys.executable, "-c", "import ccs_server.cli"],
            check=False, capture_output=True, cwd="/",
        )  # fmt: skip
        if tried.returncode == 0:
            return options
    pytest.skip("NOT TESTED: nobody may not read this Python, nor may root let them")


@contextmanager
def ordinary_users_directory() -> Iterator[Path]:
    """A directory of the ordinary user's own, which others may not enter."""
    with tempfile.TemporaryDirectory(prefix="ccs-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)
