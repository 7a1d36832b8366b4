"""Adds jobs, what an erasure needs to find, and the index of what sessions are found by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

revision = "0008"
down_revision = "0007"

NAME = sa.Text(collation="C")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")
UPDATED_OFTEN = {
    "fillfactor": 80,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.05,
}

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

SEARCH_KEY = """
CREATE OR REPLACE FUNCTION ccs_search_key(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(value)
        WHEN 'string' THEN 's' || left(value #>> '{}', 200)
        WHEN 'number' THEN 'n' || (CASE
            WHEN length(value #>> '{}') <= 300 AND value #>> '{}' !~ '[eE]'
                THEN (value #>> '{}')::double precision
            WHEN jsonb_path_exists(to_jsonb(value #>> '{}'), '$.double()', '{}', true)
                THEN (value #>> '{}')::double precision
        END + 0.0)::text
        WHEN 'object' THEN NULL WHEN 'array' THEN NULL
        ELSE 'w' || value::text
    END
$$
"""


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger, server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    """Creates tables and functions, and adds columns without rewriting a table; `property` is not touched.

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
        postgresql_with=UPDATED_OFTEN,
    )
    op.create_index("ix_job_account_created_at_id", "job", ["account", "created_at", "id"])
    for column in ("due_at", "purge_at"):
        op.create_index(
            f"ix_job_{column}", "job", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )
    op.add_column("change_new", sa.Column("erasure", NAME))
    op.add_column("change", sa.Column("erasure", NAME))
    op.add_column("idempotent_response", sa.Column("addresses", JSON))
    op.create_table(
        "search_entry",
        sa.Column("account", NAME, nullable=False),
        sa.Column("namespace_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("session_id", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("key", NAME),
        sa.Column("listed_at", MOMENT),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "namespace_id", "session_id", "name", name="pk_search_entry"
        ),
        postgresql_with=UPDATED_OFTEN,
    )
    for index, columns in {
        "key": ["account", "namespace_id", "name", "key", "session_id"],
        "listed_at": ["account", "namespace_id", "listed_at", "session_id", "name"],
    }.items():
        op.create_index(
            f"ix_search_entry_{index}",
            "search_entry",
            columns,
            postgresql_where=sa.text(f"{index} IS NOT NULL"),
        )
    op.execute(HAS_STRING)
    op.execute(SEARCH_KEY)
