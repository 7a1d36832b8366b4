"""The wheel, installed only with its dependency, runs the example of the README, and both wheels run the service.

The source is out of reach of these programs.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.sdk.test_docs import ROOT, examples, settings
from tests.support.service import Account, environment

SDK = ROOT / "sdk"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(SDK, tmp_path_factory.mktemp("wheel"))


def _built(source: Path, directory: Path) -> Path:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*build, "--outdir", directory, source], check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of packages with the wheel and its dependencies only."""
    site = tmp_path_factory.mktemp("site")
    _install([wheel], site, _required_by("ccs-sdk"))
    return site


@pytest.fixture(scope="module")
def async_site(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it with the dependencies of the extra `async` too."""
    copy = tmp_path_factory.mktemp("async-site") / "site"
    shutil.copytree(site, copy, symlinks=True)
    _link(copy, _required_by("ccs-sdk", "async"))
    return copy


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment with the wheels of both, and what they and the extra `testing` require."""
    directory = tmp_path_factory.mktemp("both")
    venv.create(directory)
    (site,) = directory.glob("lib/python*/site-packages")
    server = _built(ROOT / "server", tmp_path_factory.mktemp("server"))
    _install([wheel, server], site, _required_by("ccs-sdk", "testing") | _required_by("ccs-server"))
    return directory / "bin" / "python"


def _install(wheels: list[Path], site: Path, required: set[str]) -> None:
    """Installs wheels, and links the distributions that are installed here."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", site, *wheels], check=True)
    _link(site, required)


def _link(site: Path, required: set[str]) -> None:
    """Links distributions that are installed here."""
    installed = Path(sysconfig.get_path("purelib"))
    for name in required:
        for top in {Path(file).parts[0] for file in distribution(name).files or ()} - {".."}:
            link = site / top
            if not link.exists():  # some distributions share a folder
                link.symlink_to(installed / top)


def _required_by(name: str, *extras: str) -> set[str]:
    """Returns the distributions that `name` requires with extras, directly or indirectly."""
    required: set[str] = set()
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            required |= {canonicalize_name(requirement.name)}
            required |= _required_by(requirement.name, *requirement.extras)
    return required


def _run(code: str, site: Path, cwd: Path, **env: str) -> str:
    # -I and -S exclude user packages, site-packages and the current directory, so only `site` is used.
    prelude = f"import sys; sys.path.insert(0, {str(site)!r})\n"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", prelude + code],
        check=True, capture_output=True, text=True, cwd=cwd, env=environment(**env), timeout=60,
    )  # fmt: skip
    return ran.stdout


def test_a_new_user_stores_and_reads_a_property(
    site: Path, account: Account, tmp_path: Path
) -> None:
    (example,) = examples(SDK / "README.md")
    assert _run(example.code, site, tmp_path, **settings(account)) == example.output


def test_a_new_user_does_so_asynchronously(
    async_site: Path, account: Account, tmp_path: Path
) -> None:
    example = next(examples(ROOT / "docs" / "sdk" / "async.md"))
    assert _run(example.code, async_site, tmp_path, **settings(account)) == example.output


def test_a_new_user_tests_a_program_with_the_service(
    python: Path, testing_directory: Path, tmp_path: Path
) -> None:
    code = (
        "import ccs_sdk, ccs_sdk.testing as testing\n"
        "with testing.running_service() as service:\n"
        "    account = service.new_account()\n"
        "    with ccs_sdk.ContextClient(account.url, account.id, api_key=account.api_key) as client:\n"
        "        client.set_property('airline', 'intent', 'rebook')\n"
        "        print(client.get_properties('airline'), ccs_sdk.__file__)\n"
    )
    ran = subprocess.run(
        [python, "-W", "error", "-c", code],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env=environment(CCS_TESTING_DIR=str(testing_directory)),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    stored, file = ran.stdout.rsplit(maxsplit=1)
    assert stored == "{'intent': 'rebook'}"
    assert Path(file).is_relative_to(python.parents[1])


def test_the_sdk_imports_only_itself_and_its_dependencies(site: Path, tmp_path: Path) -> None:
    where = "import ccs_sdk; print(ccs_sdk.__file__)"
    assert Path(_run(where, site, tmp_path).strip()) == site / "ccs_sdk" / "__init__.py"
    imported = _run(
        "import ccs_sdk\n"
        "files = {name: getattr(module, '__file__', None) for name, module in sys.modules.items()}\n"
        "tops = {name.partition('.')[0] for name, file in files.items() if file}\n"
        "print(*tops - sys.stdlib_module_names - {'__main__'})",
        site,
        tmp_path,
    )
    assert "requests" in imported.split()
    allowed = {name.replace("-", "_") for name in _required_by("ccs-sdk")}
    assert set(imported.split()) <= allowed | {"ccs_sdk"}


def test_requests_is_the_only_dependency_without_extras() -> None:
    assert _required_by("ccs-sdk") >= {"requests"}
    direct = [Requirement(line) for line in distribution("ccs-sdk").requires or ()]
    assert [line.name for line in direct if line.marker is None] == ["requests"]


@pytest.fixture
def packed(wheel: Path) -> Iterator[ZipFile]:
    with ZipFile(wheel) as archive:
        yield archive


def test_the_wheel_contains_the_package_its_types_and_its_license(packed: ZipFile) -> None:
    names = set(packed.namelist())
    source = {
        path.relative_to(SDK / "src").as_posix()
        for path in (SDK / "src" / "ccs_sdk").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert source == {name for name in names if name.startswith("ccs_sdk/")}
    license_ = next(name for name in names if name.endswith("/LICENSE"))
    assert packed.read(license_) == (ROOT / "LICENSE").read_bytes()
