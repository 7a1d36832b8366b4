"""Runs the commands of the pages in docs/operate/, so that the tests check them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import pages
from ccs_server.embedded import privileges

_PAGES = pages.DOCS / "operate"
_SECONDS = 120


def blocks(
    page: str, heading: str, replacements: Mapping[str, str], *, language: str = "sh"
) -> list[str]:
    """Returns the code blocks of a section of `docs/operate/PAGE`, with replaced paths and times."""
    return pages.blocks(_PAGES / page, heading, replacements, language=language)


def run(script: str, directory: Path, env: Mapping[str, str], *, as_postgres: bool = False) -> str:
    """Runs commands in a shell in `directory` until one fails. Returns their output.

    Args:
        script: The commands.
        directory: Where their output is written. A server that they start keeps that file open.
        env: The environment, without PATH.
        as_postgres: Whether to run them as the user of PostgreSQL, with its programs in PATH.
    """
    user = privileges.owner_of_new_cluster(directory) if as_postgres else None
    program = privileges._executable("pg_ctl", user) if as_postgres else Path(sys.executable)
    with (directory / "drill.log").open("w+") as log:
        done = subprocess.run(
            ["/bin/sh", "-euc", script],
            check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_SECONDS, cwd=directory,
            env={**env, "PATH": f"{program.parent}:{os.defpath}"},
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )  # fmt: skip
        log.seek(0)
        output = log.read()
    assert done.returncode == 0, output
    return output
