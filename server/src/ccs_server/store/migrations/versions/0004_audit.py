"""Adds the audit log, and the time of the first use of each credential."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0004"
down_revision = "0003"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the table and adds `first_used_at`, which is -infinity for existing credentials.

    Their first use is unknown, and their next use must not be recorded as the first.
    """
    op.create_table(
        "audit",
        sa.Column("account", NAME, nullable=False),
        sa.Column("recorded_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("details", JSON),
        sa.PrimaryKeyConstraint("account", "recorded_at", "id", name="pk_audit"),
        comment="Who did what to credentials and whole namespaces: lines that are only ever added.",
    )
    op.create_index("ix_audit_recorded_at_id", "audit", ["recorded_at", "id"])
    for table in ("api_key", "credential"):
        before_all_time = sa.text("'-infinity'")
        op.add_column(table, sa.Column("first_used_at", MOMENT, server_default=before_all_time))
        op.alter_column(table, "first_used_at", server_default=None)
