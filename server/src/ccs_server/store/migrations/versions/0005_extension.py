"""Adds what the extension stores: update times, leases, idempotent responses, and the rights of keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSON

revision = "0005"
down_revision = "0004"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")

MERGE = """
CREATE OR REPLACE FUNCTION ccs_merge(target json, patch json) RETURNS json
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF json_typeof(patch) <> 'object' THEN
        RETURN patch;
    END IF;
    IF target IS NULL OR json_typeof(target) <> 'object' THEN
        target := '{}';
    END IF;
    RETURN (
        SELECT '{' || coalesce(string_agg(to_json(key)::text || ':' || value::text, ','), '') || '}'
        FROM (
            SELECT coalesce(old.key, new.key) AS key,
                CASE WHEN new.key IS NULL THEN old.value ELSE ccs_merge(old.value, new.value) END AS value
            FROM json_each(target) AS old FULL JOIN json_each(patch) AS new ON old.key = new.key
            WHERE new.key IS NULL OR json_typeof(new.value) <> 'null'
            ORDER BY 1
        ) AS member
    )::json;
END
$$
"""


def upgrade() -> None:
    """Adds columns without rewriting a table, new tables, and the function that merges JSON (RFC 7396).

    It takes exclusive locks on `property` and `api_key`, each for the time that it takes to change the catalog:
    milliseconds, however many rows there are. `updated_at` stays NULL in rows that are not saved again.
    """
    op.add_column("property", sa.Column("updated_at", MOMENT))
    op.create_table(
        "lease",
        sa.Column("account", NAME, nullable=False),
        sa.Column("namespace_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("purge_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "namespace_id", "session_id", name="pk_lease"),
        postgresql_with={
            "fillfactor": 80,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index("ix_lease_purge_at", "lease", ["purge_at"])
    op.create_table(
        "idempotent_response",
        sa.Column("account", NAME, nullable=False),
        sa.Column("credential", NAME, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", "credential", "key_hash", name="pk_idempotent_response"),
    )
    op.create_index("ix_idempotent_response_created_at", "idempotent_response", ["created_at"])
    op.add_column("api_key", sa.Column("scope", NAME, server_default="write", nullable=False))
    # NULL means all namespaces.
    op.add_column("api_key", sa.Column("namespaces", ARRAY(NAME)))
    op.add_column("api_key", sa.Column("expires_at", MOMENT))
    op.add_column("api_key", sa.Column("label", sa.Text, server_default="", nullable=False))
    op.execute(MERGE)
