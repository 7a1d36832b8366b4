"""Adds the table of quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates a new table, so no request waits, however many properties are stored."""
    op.create_table(
        "quota",
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        sa.Column("properties_limit", sa.BigInteger),
        sa.Column("bytes_limit", sa.BigInteger),
        sa.Column("sessions_limit", sa.BigInteger),
        sa.Column("requests_limit", sa.Text),
        sa.Column("properties_used", sa.BigInteger),
        sa.Column("bytes_used", sa.BigInteger),
        sa.Column("sessions_used", sa.BigInteger),
        sa.Column("counted_at", MOMENT),
        sa.Column("due_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_quota"),
    )
    op.create_index(
        "ix_quota_due_at",
        "quota",
        ["due_at"],
        postgresql_where=sa.text(
            "properties_limit IS NOT NULL OR bytes_limit IS NOT NULL OR sessions_limit IS NOT NULL"
        ),
    )
