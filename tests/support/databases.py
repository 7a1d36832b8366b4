"""One PostgreSQL for a whole test run, the embedded one unless told otherwise, and databases in it."""

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
"""What tests know of a cluster is its `url`."""


def make_directory() -> None:
    """Called by the process that starts the run; its workers inherit the directory's name."""
    os.environ[_DIRECTORY] = tempfile.mkdtemp(prefix="ccs-tests-")
    if other := _other():
        other.start()


def remove_directory() -> None:
    """Called by the process that started the run, when its workers are gone."""
    if other := _other():
        other.stop()
    directory = os.environ.pop(_DIRECTORY)
    if (Path(directory) / "postgres").exists():
        # A worker that crashed has not stopped the server: whoever uses it last does.
        with EmbeddedPostgres(Path(directory)):
            pass
    shutil.rmtree(directory)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The cluster of this run, shared by its workers; if it is the embedded one, the last of them stops it."""
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
    """The URL of a new, empty database; its `now()` can be moved by `clock.Clock` if asked for."""
    engine = create_engine(
        make_url(cluster.url).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(cluster.url).set(database=name)
    if movable_clock:
        clock.install(_shown(url))
        url = url.update_query_dict({"options": clock.SEARCH_PATH})
    return _shown(url)


def with_options(url: str, options: Mapping[str, str]) -> str:
    """`url` with further query parameters."""
    return _shown(make_url(url).update_query_dict(options))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)
