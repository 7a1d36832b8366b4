"""The nox sessions of the project. `nox -l` lists them."""

import json
import os
import shlex
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

BACKENDS = ("./server", "./sdk")
SIDE_BY_SIDE = ("-n", "4", "--dist", "worksteal")
"""Tests that start and stop programs wait much of their time, so four keep two cores busy. Each worker takes a share
of the tests in their order, so that few modules need their fixtures in several."""
TWO_AT_A_TIME = ("-n", "2", "--dist", "worksteal")
"""The full forms of the trust tests load the machine themselves."""
BYTECODE = {"PYTHONDONTWRITEBYTECODE": None}
"""Tests start hundreds of processes: what they import is compiled once, even where the environment forbids it."""


def install(session: nox.Session, locks: str, *distributions: str) -> None:
    """Installs the packages of one or more locks, and our distributions from this checkout as editable."""
    files = [argument for lock in locks.split() for argument in ("-r", f"requirements/{lock}.txt")]
    session.install("--require-hashes", *files)
    editable = [argument for path in distributions for argument in ("-e", path)]
    session.install("--no-deps", "--no-build-isolation", *editable)


@nox.session
def serve(session: nox.Session) -> None:
    """Run the service with the embedded PostgreSQL; arguments after `--` are passed to `ccs serve`."""
    install(session, "server build", "./server")
    ccs = Path(session.bin) / "ccs"
    session.log("ccs serve " + shlex.join(session.posargs))
    # The service replaces the nox process, so it gets signals directly and its exit code is that of the session.
    os.execv(ccs, ["ccs", "serve", *session.posargs])  # noqa: S606


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, or those named after `--`."""
    install(session, "dev", *BACKENDS)
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs, env=BYTECODE)


@nox.session
def trust(session: nox.Session) -> None:
    """Run tests/trust in full and write docs/reliability.md, unless arguments after `--` select a part.

    `-- --soak` runs only the soak test, for an hour or for `--minutes`.
    """
    install(session, "dev", *BACKENDS)
    if "--soak" in session.posargs:
        session.run("pytest", "tests/trust/test_soak.py", "--log-cli-level=INFO", *session.posargs)
        return
    arguments = session.posargs or ["--write-table"]
    session.run("pytest", "tests/trust", "--full", *TWO_AT_A_TIME, *arguments, env=BYTECODE)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, the direction of imports, and the Dockerfile."""
    install(session, "dev", *BACKENDS)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("hadolint", "Dockerfile")


@nox.session
def audit(session: nox.Session) -> None:
    """Check dependencies for known vulnerabilities, and the code with ruff's security rules (flake8-bandit)."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    session.run("ruff", "check", "--select", "S")
    report = Path(session.create_tmp()) / "audit.json"
    report.unlink(missing_ok=True)
    session.run(
        "pip-audit", "--requirement", "requirements/server.txt", "--require-hashes", "--disable-pip",
        "--format", "json", "--output", str(report), success_codes=[0, 1],
    )  # fmt: skip
    # pip-audit writes no report if its advisory service is unreachable. It reports success if the service knows none of
    # the packages, as is the case for some mirrors of PyPI.
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
    """Run both type checkers in strict mode."""
    install(session, "dev", *BACKENDS)
    session.run("mypy")
    session.run("pyright")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the service, its floor and its peers; `-- --against COMMIT` compares with a commit."""
    install(session, "dev", *BACKENDS)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site in `build/site/`, and check its links. Its first page is `index.html`."""
    install(session, "docs", *BACKENDS)
    site = Path("build/site")
    shutil.rmtree(site, ignore_errors=True)
    session.run(
        "sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "--fresh-env",
        "--conf-dir", "docs/site", ".", str(site),
    )  # fmt: skip
    session.run("python", "docs/site/check.py", str(site))
    session.log(f"Open {(site / 'index.html').resolve().as_uri()}")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the console in `docs/images/console/` from a running service."""
    install(session, "dev", *BACKENDS)
    session.run("python", "docs/site/screenshots.py", env=BYTECODE)


@nox.session
def generate(session: nox.Session) -> None:
    """Generate the SDK's synchronous modules from the asynchronous ones."""
    install(session, "dev")
    session.run("python", "sdk/generate.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheels and source archives of both distributions into `dist/`."""
    session.install("--require-hashes", "-r", "requirements/dev.txt")
    for path in BACKENDS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", path)


@nox.session
def lock(session: nox.Session) -> None:
    """Regenerate `requirements/*.txt` from the version ranges in the pyproject files."""
    session.install("uv")
    compile_ = (
        "uv", "pip", "compile", "--quiet", "--upgrade", "--universal",
        "--python-version", "3.11", "--generate-hashes", "--no-header",
    )  # fmt: skip
    session.run(*compile_, "server/pyproject.toml", "-o", "requirements/server.txt")
    # A package in both locks must have the same version, because `nox -s serve` installs both.
    session.run(
        *compile_, "--group", "build", "--constraint", "requirements/server.txt",
        "-o", "requirements/build.txt",
    )  # fmt: skip
    session.run(
        *compile_, "server/pyproject.toml", "sdk/pyproject.toml", "--group", "dev",
        "-o", "requirements/dev.txt",
    )  # fmt: skip
    # With the extras of the SDK's modules that the site documents, and what builds our distributions.
    extras = [
        f"--extra={name}" for name in ("async", "botbuilder", "cachelib", "langgraph", "testing")
    ]
    session.run(
        *compile_, "server/pyproject.toml", "sdk/pyproject.toml", *extras, "--group", "docs", "--group", "build",
        "-o", "requirements/docs.txt",
    )  # fmt: skip
    session.run(*compile_, "requirements/bench-kinto.in", "-o", "requirements/bench-kinto.txt")
