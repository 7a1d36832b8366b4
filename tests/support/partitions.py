"""Partitions the tables of accounts by account, so that tests can see which rows a statement reads.

It also declares functions as `ccs distribute` does.
"""

from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import NullPool, create_engine, make_url

from ccs_server.store.distribution import FUNCTIONS
from ccs_server.store.tables import ACCOUNT_TABLES

COUNT = 4
"""The number of partitions of each table."""


def partition(url: str) -> None:
    """Replaces each table of accounts by an empty one that is partitioned by the hash of the account."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        for function in FUNCTIONS:
            cursor.execute(f"ALTER FUNCTION {function} IMMUTABLE")
        for name in ACCOUNT_TABLES:
            names = {"table": Identifier(name), "old": Identifier(f"{name}_before")}
            cursor.execute(SQL("ALTER TABLE {table} RENAME TO {old}").format(**names))
            cursor.execute(
                SQL(
                    "CREATE TABLE {table} (LIKE {old} INCLUDING ALL) PARTITION BY HASH (account)"
                ).format(**names)
            )
            cursor.execute(SQL("DROP TABLE {old}").format(**names))
            for number in range(COUNT):
                cursor.execute(
                    SQL(
                        "CREATE TABLE {part} PARTITION OF {table}"
                        " FOR VALUES WITH (MODULUS {count}, REMAINDER {number})"
                    ).format(
                        part=Identifier(f"{name}_{number}"),
                        count=Literal(COUNT),
                        number=Literal(number),
                        **names,
                    )
                )
