"""The PostgreSQL of a test run and its databases. It is the embedded one, unless another is configured.

`CCS_TEST_DATABASE_URL` is a migrated database which all tests then use. Tests that move the clock, or need a database
of their own, are skipped. `benchmarks.citus` runs tests so on a distributed database.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.embedded.cluster import ensure_cluster
from ccs_server.store import schema
from tests.support import clock, other_postgres
from tests.support.other_postgres import OtherPostgres

_DIRECTORY = "CCS_TESTS_DIRECTORY"

GIVEN = os.environ.get("CCS_TEST_DATABASE_URL", "")
"""The URL of the database to use, if one is given."""


@dataclass(frozen=True)
class GivenPostgres:
    """The cluster of the given database."""

    url: str = GIVEN


Cluster = EmbeddedPostgres | OtherPostgres | GivenPostgres
"""A PostgreSQL cluster. Tests only use its `url`."""


def make_directory() -> None:
    """Creates the directory of the run. The main process calls it; its workers inherit the name."""
    os.environ[_DIRECTORY] = tempfile.mkdtemp(prefix="ccs-tests-")
    if other := _other():
        other.start()


def remove_directory() -> None:
    """Removes the directory of the run. The main process calls it after its workers have ended."""
    if other := _other():
        other.stop()
    directory = os.environ.pop(_DIRECTORY)
    if (Path(directory) / "postgres").exists():
        # A crashed worker has not stopped the server. Using it once more does.
        with EmbeddedPostgres(Path(directory)):
            pass
    shutil.rmtree(directory)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Yields the cluster of this run, which its workers share. The last worker stops an embedded one.

    It does not sync its files. Only a crash of the whole machine could tell: what becomes of writes when processes are
    killed is the same, and tests/trust/test_crash.py has a cluster of its own that syncs.
    """
    if GIVEN:
        yield GivenPostgres()
        return
    with ExitStack() as stack:
        cluster = _other() or stack.enter_context(EmbeddedPostgres(Path(os.environ[_DIRECTORY])))
        _execute(cluster.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield cluster


def _other() -> OtherPostgres | None:
    programs = os.environ.get(other_postgres.VARIABLE)
    return (
        OtherPostgres(Path(programs), Path(os.environ[_DIRECTORY], "other")) if programs else None
    )


def place_new_cluster(data_dir: Path) -> None:
    """Copies a cluster that has never run into a data directory of `ccs`: to create one takes most of a first start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", _new_cluster(), data_dir], check=True)  # noqa: S607


@cache
def _new_cluster() -> Path:
    parent = Path(tempfile.mkdtemp(dir=os.environ[_DIRECTORY]))
    ensure_cluster(parent / "postgres", pass_fds=())
    return parent / "postgres"


def create_database(cluster: Cluster, name: str, *, movable_clock: bool = False) -> str:
    """Creates an empty database, optionally with a movable clock. Returns its URL."""
    if GIVEN:
        pytest.skip("This test needs a database of its own.")
    _execute(cluster.url, f'CREATE DATABASE "{name}"')
    url = _rendered(make_url(cluster.url).set(database=name))
    if not movable_clock:
        return url
    clock.install(url)
    return with_options(url, {"options": clock.SEARCH_PATH})


def create_migrated_database(cluster: Cluster, name: str) -> str:
    """Creates a database with the current schema and a movable clock. Returns its URL."""
    if GIVEN and name.startswith("tests_"):
        return GIVEN
    template = make_url(_migrated_database(cluster))
    _execute(
        cluster.url, f'CREATE DATABASE "{name}" TEMPLATE "{template.database}" STRATEGY file_copy'
    )
    return _rendered(template.set(database=name))


@cache
def _migrated_database(cluster: Cluster) -> str:
    """Creates the database that this process copies: a copy takes a fraction of the time of the migrations."""
    url = create_database(cluster, f"template_{token_hex(6)}", movable_clock=True)
    schema.migrate(url)
    return url


def with_options(url: str, options: Mapping[str, str]) -> str:
    """Returns `url` with further query parameters."""
    return _rendered(make_url(url).update_query_dict(options))


@contextmanager
def no_connections(url: str) -> Iterator[None]:
    """Ends the connections to the database, and refuses new ones for the length of the block."""
    location = make_url(url)
    other, name = _rendered(location.set(database="postgres")), location.database
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
    _execute(other, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    _execute(other, ending, name=name)
    try:
        yield
    finally:
        _execute(other, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def _execute(url: str, *statements: str, **params: str | None) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement), params)


def _rendered(url: URL) -> str:
    return url.render_as_string(hide_password=False)
