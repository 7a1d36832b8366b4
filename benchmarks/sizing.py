"""`python -m benchmarks.sizing`: measures the bytes that `ccs size` computes with.

It measures sizes, not speeds, so it may run on a busy machine. It fills the tables with a million properties
(`--properties`) and saves with the service's own statement, through pgbench.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import LiteralString

import psutil
import psycopg

from benchmarks import bulk, lab
from benchmarks.database import Postgres
from benchmarks.load import Load
from benchmarks.operations import DOCUMENT, compact
from benchmarks.scale import QUICK
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.pgbench import Pgbench
from benchmarks.stacks.service import ACCOUNT, NAMESPACE
from ccs_server.settings import Settings
from ccs_server.store import schema
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.reading import read_all
from ccs_server.store.saving import save

_SAVE = "patch_1"
_CONNECTIONS = 16
_SECONDS = 10
_ROUNDS = 4
"""How many saves of a session follow one another, to see how much the table grows."""
_LONG_VALUE = 300
"""Short enough that PostgreSQL keeps it in its row, and that many rows fill a page."""

# As the service would have saved them, and with values that cannot be compressed: the worst case for images of pages.
_VARY = (
    "UPDATE property SET updated_at = now(),"
    " value = to_json(left(repeat(md5(random()::text), 16), greatest(octet_length(value::text) - 2, 1)))"
)
# Session ids are UUIDs in many programs, which are longer than the numbers of the benchmark.
_LONG_SESSIONS = "UPDATE property SET session_id = md5(session_id)::uuid::text"
_PID = Statement.of("sizing_pid", "SELECT pg_backend_pid()")


def main() -> None:
    """Prints the measured sizes as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.sizing", description=__doc__)
    parser.add_argument("--properties", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with lab.opened(replace(QUICK, parts=())) as opened:
        figures = dict(_measure(opened.postgres, arguments.properties // len(DOCUMENT)))
    print(json.dumps(figures, indent=1))


def _measure(postgres: Postgres, sessions: int) -> Iterator[tuple[str, float]]:
    small, large = _sizes(postgres, sessions, bulk.document())
    _, longer = _sizes(postgres, sessions // 10, _long_document())
    more = _mean_bytes(_long_document()) - _mean_bytes(bulk.document())
    yield "name_and_value_bytes", round(_mean_bytes(bulk.document()), 1)
    yield "index_bytes_a_property", round(small, 1)
    yield "heap_bytes_a_property", round(large, 1)
    yield "heap_bytes_a_byte_of_value", round((longer - large) / more, 2)
    url = _filled(postgres, "sizing", sessions, bulk.document(), _VARY)
    yield "backend_bytes", _memory_of_connection(url, sessions)
    pgbench = Pgbench(sessions, url)
    with postgres.connect("sizing") as connection:
        table = _bytes(connection)
        # The first saves after a checkpoint write whole pages into the WAL. Later ones write only what they change.
        connection.execute("CHECKPOINT")
        before, images_before = _wal(connection)
        first = pgbench.measure(_SAVE, Load(_CONNECTIONS, _SECONDS)).requests
        middle, images_middle = _wal(connection)
        second = pgbench.measure(_SAVE, Load(_CONNECTIONS, _SECONDS)).requests
        after, images_after = _wal(connection)
        # Two equations with two unknowns: the bytes of a save, and those of the image of a page.
        one, two = (middle - before) / first, (after - middle) / second
        images, later = (
            (images_middle - images_before) / first,
            (images_after - images_middle) / second,
        )
        image = (one - two) / (images - later)
        yield "wal_bytes_a_page_image", round(image)
        yield "wal_bytes_a_save", round(two - image * later)
        saves = first + second
        while saves < _ROUNDS * sessions:
            saves += pgbench.measure(_SAVE, Load(_CONNECTIONS, _SECONDS)).requests
        yield "saves", saves
        yield "growth_by_saves", round(sum(_bytes(connection)) / sum(table), 2)


def _sizes(postgres: Postgres, sessions: int, properties: bulk.Properties) -> tuple[float, float]:
    """Returns the bytes of the indexes, and of the table, for each property."""
    name = f"sizes_of_{sessions}"
    _filled(postgres, name, sessions, properties, _VARY, _LONG_SESSIONS)
    with postgres.connect(name) as connection:
        table, index = _bytes(connection)
    count = sessions * len(properties)
    return index / count, table / count


def _filled(
    postgres: Postgres,
    database: str,
    sessions: int,
    properties: bulk.Properties,
    *changes: LiteralString,
) -> str:
    """Creates a database with these properties and returns its URL."""
    url = postgres.create(database)
    schema.migrate(url)
    with postgres.connect(database) as connection:
        bulk.load(connection, NAMESPACE, session_numbers(sessions), properties)
        for change in changes:
            connection.execute(change)
        # Rewrites the table as new.
        connection.execute("VACUUM FULL ANALYZE property")
    return url


def _mean_bytes(properties: bulk.Properties) -> float:
    return sum(len(name) + len(value) for name, value in properties) / len(properties)


def _long_document() -> bulk.Properties:
    return [(name, compact("x" * _LONG_VALUE)) for name in DOCUMENT]


def _bytes(connection: psycopg.Connection) -> tuple[int, int]:
    """Returns the bytes of the table `property`, and of its indexes."""
    row = connection.execute(
        "SELECT pg_table_size('property'), pg_indexes_size('property')"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _wal(connection: psycopg.Connection) -> tuple[int, int]:
    """Returns the bytes of WAL and the images of pages written so far."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute("SELECT wal_bytes::bigint, wal_fpi FROM pg_stat_wal").fetchone()
    assert row is not None
    return row[0], row[1]


def _memory_of_connection(url: str, sessions: int) -> int:
    """Returns the bytes that PostgreSQL's process for one connection has for itself, after saves and reads."""
    database = Database(url, Settings())
    body = compact(DOCUMENT).encode()
    for number in session_numbers(min(sessions, 1_000)):
        document = DocumentKey(ACCOUNT, NAMESPACE, str(number))
        save(database, document, body)
        read_all(database, document)
    pid = database.execute(_PID).get_value(0, 0)
    assert pid is not None
    memory = psutil.Process(int(pid)).memory_full_info().uss
    database.release()
    return int(memory)


if __name__ == "__main__":
    main()
