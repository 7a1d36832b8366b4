"""Adds `purge_at`, so that the purge's index is not updated by every save."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column with a default in the past.

    So the purge soon examines existing properties, and those saved by the release before this one. No row is rewritten.
    Requests wait only while the index is built: a second or two for a million properties.
    """
    op.add_column(
        "property",
        sa.Column("purge_at", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'")),
    )
    op.drop_index("ix_property_expires_at", "property")
    op.create_index(
        "ix_property_purge_at",
        "property",
        ["purge_at"],
        postgresql_where=sa.text("purge_at IS NOT NULL"),
    )
