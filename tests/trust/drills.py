"""Runs the commands of docs/operations.md, so that the tests check the document."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ccs_server.embedded import privileges

_DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
_SECONDS = 120


def blocks(heading: str, replacements: Mapping[str, str], *, language: str = "sh") -> list[str]:
    """Returns the code blocks of a section, with replaced paths and times, each of which must occur in the section."""
    _, found, rest = _DOCUMENT.read_text().partition(f"\n{heading}\n")
    assert found, heading
    section = re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for old, new in replacements.items():
        assert old in section, old
        section = section.replace(old, new)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


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
