"""The project's sessions: `nox -s serve`, `nox -s tests`; `nox -l` lists them all."""

import json
import os
import shlex
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

BACKENDS = ("./server", "./sdk")


def install(session: nox.Session, locks: str, *distributions: str) -> None:
    """Installs the packages of one or more locks, then our own distributions from this checkout, editable."""
    files = [argument for lock in locks.split() for argument in ("-r", f"requirements/{lock}.txt")]
    session.install("--require-hashes", *files)
    editable = [argument for path in distributions for argument in ("-e", path)]
    session.install("--no-deps", "--no-build-isolation", *editable)


@nox.session
def serve(session: nox.Session) -> None:
    """Runs the service on the embedded PostgreSQL; arguments after `--` go to `ccs serve`."""
    install(session, "server build", "./server")
    ccs = Path(session.bin) / "ccs"
    session.log("ccs serve " + shlex.join(session.posargs))
    # The service takes nox's place: signals reach it, it ends in its own time, its exit code is the session's.
    os.execv(ccs, ["ccs", "serve", *session.posargs])  # noqa: S606


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, or those that the arguments after `--` name."""
    install(session, "dev", *BACKENDS)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def trust(session: nox.Session) -> None:
    """The full form of tests/trust; writes docs/reliability.md unless the arguments after `--` choose a part.

    `-- --soak` runs the soak alone, an hour unless `--minutes` says otherwise.
    """
    install(session, "dev", *BACKENDS)
    if "--soak" in session.posargs:
        session.run("pytest", "tests/trust/test_soak.py", "--log-cli-level=INFO", *session.posargs)
        return
    side_by_side = ("-n", "2", "--dist", "worksteal")
    arguments = session.posargs or ["--write-table"]
    session.run("pytest", "tests/trust", "--full", *side_by_side, *arguments)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, the direction of imports, and the Dockerfile."""
    install(session, "dev", *BACKENDS)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("hadolint", "Dockerfile")


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of what the service runs on, and ruff's rules on security (flake8-bandit's)."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    session.run("ruff", "check", "--select", "S")
    report = Path(session.create_tmp()) / "audit.json"
    report.unlink(missing_ok=True)
    session.run(
        "pip-audit", "--requirement", "requirements/server.txt", "--require-hashes", "--disable-pip",
        "--format", "json", "--output", str(report), success_codes=[0, 1],
    )  # fmt: skip
    # It leaves no report where it cannot reach the service that knows them, and calls that success where the service
    # knows none of the packages, as mirrors of PyPI do not.
    packages = json.loads(report.read_text())["dependencies"] if report.exists() else []
    vulnerable = [package["name"] for package in packages if package.get("vulns")]
    if vulnerable:
        session.error(f"Known vulnerabilities: {', '.join(vulnerable)}; see {report}.")
    audited = sum("skip_reason" not in package for package in packages)
    if not packages or audited < len(packages):
        session.warn(
            f"NOT AUDITED: of {len(packages) or 'all'} packages {audited} are known to the advisory service that can "
            "be reached from here. Run this session again with access to pypi.org."
        )


@nox.session
def types(session: nox.Session) -> None:
    """Both type checkers, strict."""
    install(session, "dev", *BACKENDS)
    session.run("mypy")
    session.run("pyright")


@nox.session
def bench(session: nox.Session) -> None:
    """Measures the service, its floors and its peers; `-- --against COMMIT` says what is slower than there."""
    install(session, "dev", *BACKENDS)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Makes the SDK's reference of its docstrings, as HTML in `build/docs/sdk/`."""
    install(session, "dev", "./sdk")
    modules = ("ccs_sdk", "ccs_sdk.errors")
    session.run("pdoc", "--docformat", "google", "--output-directory", "build/docs/sdk", *modules)


@nox.session
def build(session: nox.Session) -> None:
    """Builds the wheel and the source archive of both distributions into `dist/`."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    for path in BACKENDS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", path)


@nox.session
def lock(session: nox.Session) -> None:
    """Writes `requirements/*.txt` anew from the ranges in the pyproject files."""
    session.install("uv")
    compile_ = (
        "uv", "pip", "compile", "--quiet", "--upgrade", "--universal",
        "--python-version", "3.11", "--generate-hashes", "--no-header",
    )  # fmt: skip
    session.run(*compile_, "server/pyproject.toml", "-o", "requirements/server.txt")
    # Where both locks hold a package, it is the same version: `nox -s serve` installs both.
    session.run(
        *compile_, "--group", "build", "--constraint", "requirements/server.txt",
        "-o", "requirements/build.txt",
    )  # fmt: skip
    session.run(
        *compile_, "server/pyproject.toml", "sdk/pyproject.toml", "--group", "dev",
        "-o", "requirements/dev.txt",
    )  # fmt: skip
    session.run(*compile_, "requirements/bench-kinto.in", "-o", "requirements/bench-kinto.txt")
