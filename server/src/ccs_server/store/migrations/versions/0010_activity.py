"""Adds the counts of saves and reads."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds a table. No other is touched."""
    zero = sa.text("0")
    op.create_table(
        "activity",
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saves", sa.BigInteger, nullable=False, server_default=zero),
        sa.Column("reads", sa.BigInteger, nullable=False, server_default=zero),
        sa.PrimaryKeyConstraint("account", "minute", name="pk_activity"),
        comment="How many saves and reads each account has made in each minute of the last hours.",
        postgresql_with={
            "fillfactor": 80,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index("ix_activity_minute", "activity", ["minute"])
