"""The machine and the versions of a run."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

_PACKAGES = ("ccs-server", "granian", "flask", "psycopg", "sqlalchemy", "msgspec")
_ROOT = Path(__file__).parents[1]


def machine() -> dict[str, object]:
    """Returns the processor, cores, memory and version of Python."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }


def system() -> str:
    """Returns the operating system, whose kernel may be another one after the machine was started again."""
    return platform.platform(terse=True)


def versions() -> dict[str, str]:
    """Returns the versions of the Python packages that affect the figures."""
    return {package: version(package) for package in _PACKAGES}


def commit() -> str:
    """Returns the commit of the checkout, with a note if the measured files differ from it."""
    if shutil.which("git") is None:
        return "unknown"
    name = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "server", "benchmarks", "requirements")
    return f"{name} with changes" if changed else name or "unknown"


def _git(*arguments: str) -> str:
    completed = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return completed.stdout.strip()


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor()
    lines = information.read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
