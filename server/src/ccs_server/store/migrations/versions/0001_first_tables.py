"""Creates the first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0001"
down_revision = None

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    """Creates the tables for namespaces, session TTLs, properties, credentials and signing keys."""
    op.create_table(
        "namespace",
        sa.Column("account", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("ttl_seconds", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name="pk_namespace"),
    )
    op.create_table(
        "deleted_namespace",
        sa.Column("account", NAME, nullable=False),
        sa.Column("namespace_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("deleted_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", "namespace_id", name="pk_deleted_namespace"),
        comment="Namespaces whose rows the purge has yet to delete.",
    )
    op.create_table(
        "session_ttl",
        sa.Column("account", NAME, nullable=False),
        sa.Column("namespace_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("ttl_seconds", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", "namespace_id", "session_id", name="pk_session_ttl"),
    )
    op.create_table(
        "property",
        sa.Column("account", NAME, nullable=False),
        sa.Column("namespace_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("expires_at", MOMENT, server_default=sa.text("'infinity'"), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "namespace_id", "session_id", "name", name="pk_property"
        ),
        postgresql_with={
            "fillfactor": 80,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index(
        "ix_property_expires_at",
        "property",
        ["expires_at"],
        postgresql_where=sa.text("expires_at < 'infinity'"),
    )
    op.create_table(
        "api_key",
        sa.Column("key_id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_key"),
    )
    op.create_index("ix_api_key_account", "api_key", ["account"])
    op.create_table(
        "credential",
        sa.Column("username", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("password_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("username", name="pk_credential"),
    )
    op.create_index("ix_credential_account", "credential", ["account"])
    op.create_table(
        "signing_key",
        sa.Column("key_id", NAME, nullable=False),
        sa.Column("private_key", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_signing_key"),
    )
