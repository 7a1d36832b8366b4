"""Installs versions of the service: the working tree or a commit, each with its locked packages.

Environments and commits are installed once and kept in `build/against/`. Two versions that lock the same packages
share an environment, so that only their own code differs.
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
    """Git does not know the commit. The message names it."""


@dataclass(frozen=True)
class Installed:
    """An installed version of the service."""

    name: str
    python: Path
    """The interpreter of the environment with its locked packages."""
    packages: Path
    """The directory with the service itself."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts `ccs`, together with `environment`."""
        return (str(self.python), "-m", "ccs_server")

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.packages)}


def full_name(commit: str) -> str:
    """Returns the full hash of a commit.

    Raises:
        UnknownCommitError: Git does not know it.
    """
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise UnknownCommitError(f"{commit!r} is not a commit of this repository.")
    return found.stdout.strip()


def commit(full: str) -> Installed:
    """Installs a commit, unless an earlier run installed it."""
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
    """Installs a copy of the working tree into a new directory, so that edits during the run have no effect."""
    _install(_ROOT, packages)
    return Installed("working tree", _environment(_ROOT / _LOCK), packages)


def _environment(lock: Path) -> Path:
    """Returns the interpreter of an environment with the packages of a lock file, installing it if necessary."""
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
    """Installs the server of a checkout. The directory is renamed to `packages` when it is complete.

    It uses the build tools of this process's environment, because not every version of the server's lock has them.
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
