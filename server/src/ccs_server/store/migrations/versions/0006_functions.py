"""Adds functions for expressions that a distributed database would otherwise refuse in a save."""

from alembic import op

revision = "0006"
down_revision = "0005"

HAS_EXPIRED = """
CREATE OR REPLACE FUNCTION ccs_has_expired(moment timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS 'SELECT moment <= clock_timestamp()'
"""

ETAG = """
CREATE OR REPLACE FUNCTION ccs_etag(value json) RETURNS text
LANGUAGE sql STABLE AS $$SELECT left(encode(sha256(convert_to(value::text, 'UTF8')), 'hex'), 32)$$
"""


def upgrade() -> None:
    """Creates two functions. It locks no table."""
    op.execute(HAS_EXPIRED)
    op.execute(ETAG)
