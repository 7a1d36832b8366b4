"""Namespaces of Linux: tests that need one say so where the kernel, or whoever runs the tests, does not allow it."""

import os
import subprocess
from functools import cache

import pytest

UNSHARE = "/usr/bin/unshare"


def need(*kinds: str) -> None:
    """Skips the test where namespaces of these kinds (`--mount`, `--pid`) cannot be made."""
    if os.geteuid() != 0 or not _may(kinds):
        pytest.skip(f"NOT TESTED: needs root, and a kernel that lets it unshare {' '.join(kinds)}")


@cache
def _may(kinds: tuple[str, ...]) -> bool:
    tried = subprocess.run([UNSHARE, "--fork", *kinds, "true"], check=False, capture_output=True)
    return tried.returncode == 0
