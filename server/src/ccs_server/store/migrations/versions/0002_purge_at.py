"""The purge's own moments, so that its index does not change with every save."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """When the purge looks at each property: soon at what is stored now, and at what the release before this one saves.

    So nothing is written here but the index, for which requests wait: a second or two for a million properties.
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
