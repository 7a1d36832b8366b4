"""Adds the settings of namespaces, and the change log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0007"
down_revision = "0006"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)


def _event() -> list[sa.Column[object]]:
    return [
        sa.Column("ns", NAME, nullable=False),
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("value", JSON),
        sa.Column("size", sa.Integer),
        sa.Column("etag", NAME),
        sa.Column("expires_at", MOMENT),
        sa.Column("actor", NAME),
    ]


def upgrade() -> None:
    """Adds two columns and a unique key to `namespace`, and new tables; `property` is not touched.

    It takes an exclusive lock on `namespace` for as long as it takes to index the namespaces.
    """
    zero = sa.text("0")
    op.add_column(
        "namespace", sa.Column("features", sa.Integer, server_default=zero, nullable=False)
    )
    op.add_column("namespace", sa.Column("settings", JSON))
    op.create_unique_constraint("uq_namespace_account_id", "namespace", ["account", "id"])
    op.create_table(
        "change_new",
        sa.Column("account", NAME, nullable=False),
        sa.Column("n", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("namespace_id", sa.BigInteger, nullable=False),
        *_event(),
        sa.Column("keep_seconds", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "n", name="pk_change_new"),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": 0,
            "autovacuum_vacuum_threshold": 5000,
            "autovacuum_vacuum_insert_scale_factor": 0,
        },
    )
    op.create_table(
        "change",
        sa.Column("account", NAME, nullable=False),
        sa.Column("pos", sa.BigInteger, autoincrement=False, nullable=False),
        *_event(),
        sa.Column("kept_until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "pos", name="pk_change"),
    )
    op.create_index("ix_change_kept_until", "change", ["kept_until"])
    property_columns = ["account", "ns", "session_id", "name", "pos"]
    op.create_index("ix_change_property", "change", property_columns)
    op.create_table(
        "change_head",
        sa.Column("account", NAME, nullable=False),
        sa.Column("pos", sa.BigInteger, server_default=zero, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_change_head"),
        comment="The end of the change log of each account that has ever logged changes.",
    )
    op.create_table(
        "change_floor",
        sa.Column("account", NAME, nullable=False),
        sa.Column("ns", NAME, nullable=False),
        sa.Column("pos", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "ns", name="pk_change_floor"),
        comment="The last position of a namespace's changes that the log has forgotten.",
    )
