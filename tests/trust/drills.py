"""The drills of docs/operations.md: their commands are taken from there, so that the document cannot be wrong."""

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
    """The code of a section of the document, with other paths and moments in it; each must occur in the section."""
    _, found, rest = _DOCUMENT.read_text().partition(f"\n{heading}\n")
    assert found, heading
    section = re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    for old, new in replacements.items():
        assert old in section, old
        section = section.replace(old, new)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(script: str, directory: Path, env: Mapping[str, str], *, as_postgres: bool = False) -> str:
    """Runs commands as a person would, from `directory`, until one fails; returns what they print.

    Args:
        script: The commands.
        directory: Where their output is kept: a server that they start keeps it open.
        env: The environment, beside PATH.
        as_postgres: Whether the user who runs PostgreSQL runs them, with its programs at hand.
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
        said = log.read()
    assert done.returncode == 0, said
    return said
