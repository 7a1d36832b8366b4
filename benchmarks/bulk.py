"""Fills the service's tables directly with COPY: millions of properties in a minute."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import LiteralString

import psycopg

from benchmarks import extension
from benchmarks.load.requests import FIRST_SESSION, filled
from benchmarks.operations import DOCUMENT, compact
from benchmarks.stacks.base import session_numbers
from benchmarks.stacks.service import ACCOUNT

_COPY: LiteralString = (
    "COPY property"
    " (account, namespace_id, session_id, name, value, size, expires_at, purge_at) FROM STDIN"
)
_NULL = r"\N"
Properties = list[tuple[str, str]]


def document() -> Properties:
    """Returns the ten properties of the comparison, with values as JSON."""
    return [
        (name, filled(compact(value), FIRST_SESSION, FIRST_SESSION))
        for name, value in DOCUMENT.items()
    ]


def numbered(count: int) -> Properties:
    """Returns `count` small properties."""
    return [(f"property{number:06d}", json.dumps(f"value {number}")) for number in range(count)]


def load(
    connection: psycopg.Connection,
    namespace: str,
    sessions: Iterable[int],
    properties: Properties,
    *,
    expires_at: datetime | None = None,
) -> None:
    """Stores the same properties in each of the sessions, which are named by their numbers."""
    namespace_id = _namespace_id(connection, namespace)
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for block in _blocks(namespace_id, sessions, properties, expires_at):
            copy.write(block)


def load_extension(connection: psycopg.Connection, namespace: str, sessions: int) -> None:
    """Stores what the operations of the extension need: documents, those of batches, and leases.

    The fence of each lease is the number of its session, so that a load generator knows it. A schema without leases
    has none.
    """
    here = extension.namespace_of(namespace)
    numbers = session_numbers(sessions)
    batches = [
        extension.BATCH * number + digit for number in numbers for digit in range(extension.BATCH)
    ]
    load(connection, here, [*numbers, *batches], document())
    if connection.execute("SELECT to_regclass('lease')").fetchone() != (None,):
        connection.execute(
            "INSERT INTO lease (account, namespace_id, session_id, owner, fence, expires_at, purge_at)"
            " SELECT %s, %s, number, 'bot-7', number, 'infinity', 'infinity'"
            " FROM unnest(%s::bigint[]) AS number",
            [ACCOUNT, _namespace_id(connection, here), [*numbers]],
        )


def settle(connection: psycopg.Connection) -> None:
    """Vacuums and analyzes, as autovacuum would have done while the store was growing."""
    connection.execute("VACUUM ANALYZE property")
    connection.execute("CHECKPOINT")


def _namespace_id(connection: psycopg.Connection, namespace: str) -> int:
    row = connection.execute(
        "INSERT INTO namespace (account, name) VALUES (%s, %s)"
        " ON CONFLICT (account, name) DO UPDATE SET name = excluded.name RETURNING id",
        [ACCOUNT, namespace],
    ).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def _blocks(
    namespace_id: int,
    sessions: Iterable[int],
    properties: Properties,
    expires_at: datetime | None,
) -> Iterator[str]:
    before = f"{ACCOUNT}\t{namespace_id}\t"
    moment = expires_at.isoformat() if expires_at else None
    expiry = f"{moment or 'infinity'}\t{moment or _NULL}"
    after = [
        f"\t{name}\t{value}\t{len(compact(name)) + len(value) + 2}\t{expiry}\n"
        for name, value in sorted(properties)
    ]
    for session in sessions:
        yield "".join([f"{before}{session}{rest}" for rest in after])
