"""Linux namespaces. Tests that need them are skipped if the kernel or the user's privileges do not allow them."""

import os
import subprocess
from functools import cache

import pytest

UNSHARE = "/usr/bin/unshare"


def need(*kinds: str) -> None:
    """Skips the test if namespaces of these kinds (`--mount`, `--pid`) cannot be created."""
    if os.geteuid() != 0 or not _may(kinds):
        pytest.skip(f"NOT TESTED: needs root, and a kernel that lets it unshare {' '.join(kinds)}")


@cache
def _may(kinds: tuple[str, ...]) -> bool:
    tried = subprocess.run([UNSHARE, "--fork", *kinds, "true"], check=False, capture_output=True)
    return tried.returncode == 0
