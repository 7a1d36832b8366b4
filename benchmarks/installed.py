"""Versions of the service to run: the working tree as it is, or a commit, each with the packages that it locks.

Environments and commits are installed once and kept under `build/against/`. Two versions that lock the same packages
share one environment, so that they differ in nothing but their own code.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_KEPT = _ROOT / "build" / "against"
_LOCK = Path("requirements") / "server.txt"


class UnknownCommitError(Exception):
    """Git does not know the commit; the message says which."""


@dataclass(frozen=True)
class Installed:
    """A version of the service that can be run."""

    name: str
    python: Path
    """The interpreter of the environment that holds its locked packages."""
    packages: Path
    """The directory that holds the service itself."""

    @property
    def command(self) -> tuple[str, ...]:
        """What starts `ccs`, given `environment`."""
        return (str(self.python), "-m", "ccs_server")

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.packages)}


def full_name(commit: str) -> str:
    """The full hash of a commit.

    Raises:
        UnknownCommitError: git does not know it.
    """
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise UnknownCommitError(f"{commit!r} is no commit of this repository.")
    return found.stdout.strip()


def commit(full: str) -> Installed:
    """Installs a commit, unless an earlier run has."""
    packages = _KEPT / full
    source = _KEPT / f"{full}.source"
    if not packages.exists():
        archive = subprocess.run(
            ["git", "archive", "--format=tar", full, "server", "requirements"],
            cwd=_ROOT, stdout=subprocess.PIPE, check=True,
        ).stdout  # fmt: skip
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(source, filter="data")
        _install(source, packages)
    return Installed(full[:12], _environment(source / _LOCK), packages)


def working_tree(packages: Path) -> Installed:
    """Installs a copy of the working tree, whose edits during the run do not count then, into a new directory."""
    _install(_ROOT, packages)
    return Installed("working tree", _environment(_ROOT / _LOCK), packages)


def _environment(lock: Path) -> Path:
    """The interpreter of an environment with the packages of a lock file, installed unless an earlier run has."""
    key = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()
    directory = _KEPT / f"environment-{key[:12]}"
    python = directory / "bin" / "python"
    complete = directory / "complete"
    if not complete.exists():
        print(
            f"Installing {lock.relative_to(_ROOT)} into {directory.relative_to(_ROOT)} …",
            flush=True,
        )
        venv.create(directory, clear=True, with_pip=True)
        _pip(python, "--require-hashes", "-r", str(lock))
        complete.touch()
    return python


def _install(root: Path, packages: Path) -> None:
    """Installs the server of a checkout; the directory gets its name when all of it is there.

    What builds it is in the environment of this process: locks of the server hold it in some versions only.
    """
    unfinished = packages.with_name(f"{packages.name}.{os.getpid()}.unfinished")
    _pip(
        Path(sys.executable), "--no-deps", "--no-build-isolation", "--no-compile", "--target", str(unfinished),
        str(root / "server"),
    )  # fmt: skip
    unfinished.rename(packages)


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)
