"""Adds jobs, and what an erasure needs to find: what a stored response tells of, and which erasure an event is of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0008"
down_revision = "0007"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")

HAS_STRING = """
CREATE OR REPLACE FUNCTION ccs_has_string(value json, patterns text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE json_typeof(value)
        WHEN 'string' THEN value #>> '{}' LIKE ANY (patterns)
        WHEN 'object' THEN EXISTS (
            SELECT 1 FROM json_each(value) AS member
            WHERE member.key LIKE ANY (patterns) OR ccs_has_string(member.value, patterns)
        )
        WHEN 'array' THEN EXISTS (
            SELECT 1 FROM json_array_elements(value) AS element (value)
            WHERE ccs_has_string(element.value, patterns)
        )
        ELSE false
    END;
END
$$
"""


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger, server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    """Creates a table and a function, and adds columns without rewriting a table; `property` is not touched.

    It takes exclusive locks on the change log's tables and on that of responses, each for the time that it takes to
    change the catalog.
    """
    op.create_table(
        "job",
        sa.Column("account", NAME, nullable=False),
        sa.Column("id", NAME, nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("state", NAME, server_default="queued", nullable=False),
        sa.Column("reference", sa.Text, server_default="", nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("is_dry_run", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("request", JSON),
        sa.Column("position", JSON),
        *(_count(name) for name in ("examined", "total", "sessions", "properties", "changes")),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("holder", NAME),
        sa.Column("due_at", MOMENT, server_default=NOW),
        sa.Column("purge_at", MOMENT),
        sa.PrimaryKeyConstraint("account", "id", name="pk_job"),
        postgresql_with={
            "fillfactor": 80,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index("ix_job_account_created_at_id", "job", ["account", "created_at", "id"])
    for column in ("due_at", "purge_at"):
        op.create_index(
            f"ix_job_{column}", "job", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
    op.add_column("change_new", sa.Column("erasure", NAME))
    op.add_column("change", sa.Column("erasure", NAME))
    op.add_column("idempotent_response", sa.Column("addresses", JSON))
    op.execute(HAS_STRING)
