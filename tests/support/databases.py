"""The PostgreSQL of a test run and its databases. It is the embedded one, unless another is configured."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, make_url, text

from ccs_server.embedded import EmbeddedPostgres
from tests.support import clock, other_postgres
from tests.support.other_postgres import OtherPostgres

_DIRECTORY = "CCS_TESTS_DIRECTORY"

Cluster = EmbeddedPostgres | OtherPostgres
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
    """Yields the cluster of this run, which its workers share. The last worker stops an embedded one."""
    if other := _other():
        yield other
    else:
        with EmbeddedPostgres(Path(os.environ[_DIRECTORY])) as cluster:
            yield cluster


def _other() -> OtherPostgres | None:
    programs = os.environ.get(other_postgres.VARIABLE)
    return (
        OtherPostgres(Path(programs), Path(os.environ[_DIRECTORY], "other")) if programs else None
    )


def create_database(cluster: Cluster, name: str, *, movable_clock: bool = False) -> str:
    """Creates an empty database, optionally with a movable clock. Returns its URL."""
    engine = create_engine(
        make_url(cluster.url).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(cluster.url).set(database=name)
    if movable_clock:
        clock.install(_rendered(url))
        url = url.update_query_dict({"options": clock.SEARCH_PATH})
    return _rendered(url)


def with_options(url: str, options: Mapping[str, str]) -> str:
    """Returns `url` with further query parameters."""
    return _rendered(make_url(url).update_query_dict(options))


def _rendered(url: URL) -> str:
    return url.render_as_string(hide_password=False)
