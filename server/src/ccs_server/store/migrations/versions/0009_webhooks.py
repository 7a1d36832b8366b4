"""Adds webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0009"
down_revision = "0008"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds two tables. No other is touched."""
    now = sa.text("now()")
    op.create_table(
        "webhook",
        sa.Column("account", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("namespaces", ARRAY(NAME)),
        sa.Column("types", ARRAY(NAME)),
        sa.Column("created_at", MOMENT, nullable=False, server_default=now),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("pos", sa.BigInteger, nullable=False),
        sa.Column("message_id", NAME),
        sa.Column("message_until", sa.BigInteger),
        sa.Column("due_at", MOMENT, server_default=now),
        sa.Column("claimed_until", MOMENT),
        sa.Column("claim", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("failing_since", MOMENT),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("account", "id", name="pk_webhook"),
        postgresql_with={
            "fillfactor": 80,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index(
        "ix_webhook_due_at",
        "webhook",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("account", NAME, nullable=False),
        sa.Column("webhook_id", NAME, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.PrimaryKeyConstraint("account", "webhook_id", "number", name="pk_webhook_secret"),
        comment="The newest secret of each webhook, and those before it that still sign.",
    )
