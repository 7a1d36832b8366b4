"""The tables. Each property is a row, so it has its own expiry, and writers of one session do not block each other.

Names use the C collation: they are ordered by code point, and an index comparison is a memcmp.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Name = Text(collation="C")
Moment = DateTime(timezone=True)


def _created_at() -> Column[object]:
    return Column("created_at", Moment, nullable=False, server_default=text("now()"))


def _first_used_at() -> Column[object]:
    # NULL if not used yet; -infinity if it was created before first uses were recorded.
    return Column("first_used_at", Moment)


namespace = Table(
    "namespace",
    metadata,
    Column("account", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    # Properties refer to the id, so a namespace that is deleted and created again does not have the old data.
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("ttl_seconds", Integer, nullable=False, server_default=text("0")),
    _created_at(),
    # What is switched on: bits of `features.Feature`.
    Column("features", Integer, nullable=False, server_default=text("0")),
    # What was set, as in the API; NULL if nothing was.
    Column("settings", JSON(none_as_null=True)),
    UniqueConstraint("account", "id"),
)

deleted_namespace = Table(
    "deleted_namespace",
    metadata,
    Column("account", Name, primary_key=True),
    Column("namespace_id", BigInteger, primary_key=True),
    Column("deleted_at", Moment, nullable=False, server_default=text("now()")),
    comment="Namespaces whose rows the purge has yet to delete.",
)

session_ttl = Table(
    "session_ttl",
    metadata,
    Column("account", Name, primary_key=True),
    Column("namespace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", Name, primary_key=True),
    Column("ttl_seconds", Integer, nullable=False),
    _created_at(),
)

# Leave room for HOT updates, and vacuum earlier than at PostgreSQL's default of 20 % dead rows.
_UPDATED_OFTEN = {
    "fillfactor": 80,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.05,
}

# `property` is not a reserved word in PostgreSQL, so it needs no quotes in SQL. In Python it is a builtin.
property_ = Table(
    "property",
    metadata,
    Column("account", Name, primary_key=True),
    Column("namespace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    # json, not jsonb: json keeps the text, so every number is returned digit for digit.
    Column("value", JSON, nullable=False),
    Column("size", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False, server_default=text("'infinity'")),
    # When the purge examines the row; NULL means never. A save that changes the expiry does not change this, unless
    # the purge would come too late: an update of no indexed column need not update the indexes. The default is for
    # releases that do not know this column.
    Column("purge_at", Moment, server_default=text("'-infinity'")),
    # When it was last saved; NULL if that was before this column existed. Extending its life is not a save.
    Column("updated_at", Moment),
    postgresql_with=_UPDATED_OFTEN,
)

Index(
    "ix_property_purge_at",
    property_.c.purge_at,
    postgresql_where=property_.c.purge_at.is_not(None),
)

# What finds a property by its value or by its last save, where its namespace is indexed. An entry may be out of date or
# of a property that is gone: who finds it looks at the property. But no property of an indexed namespace is without.
search_entry = Table(
    "search_entry",
    metadata,
    Column("account", Name, primary_key=True),
    Column("namespace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    # `ccs_search_key` of the value; NULL if the name is not indexed, or if nothing equals the value.
    Column("key", Name),
    # The property's `updated_at`, or -infinity; NULL if sessions are not sorted by it.
    Column("listed_at", Moment),
    # Which change of the namespace's settings it is made by.
    Column("generation", Integer, nullable=False),
    postgresql_with=_UPDATED_OFTEN,
)

Index(
    "ix_search_entry_key",
    search_entry.c.account,
    search_entry.c.namespace_id,
    search_entry.c.name,
    search_entry.c.key,
    search_entry.c.session_id,
    postgresql_where=search_entry.c.key.is_not(None),
)
Index(
    "ix_search_entry_listed_at",
    search_entry.c.account,
    search_entry.c.namespace_id,
    search_entry.c.listed_at,
    search_entry.c.session_id,
    search_entry.c.name,
    postgresql_where=search_entry.c.listed_at.is_not(None),
)

# A row is kept for a day after its lease has expired. A new row's fence is taken from the clock, which is then past the
# fence of the row that was purged, so no fence is granted twice.
lease = Table(
    "lease",
    metadata,
    Column("account", Name, primary_key=True),
    Column("namespace_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", Name, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # When the purge examines the row, as that of `property`.
    Column("purge_at", Moment, nullable=False, index=True),
    postgresql_with=_UPDATED_OFTEN,
)

idempotent_response = Table(
    "idempotent_response",
    metadata,
    Column("account", Name, primary_key=True),
    # The key id, user name or token id that made the request.
    Column("credential", Name, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    # Of the path and the body.
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    # json keeps the text, as in `property`.
    Column("body", JSON, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=text("now()"), index=True),
    # The properties that it tells of, so that an erasure finds them: [namespace, session id, name or null] of each
    # operation. NULL if there are none.
    Column("addresses", JSON(none_as_null=True)),
)


def _event() -> tuple[Column[object], ...]:
    """What a change was."""
    return (
        Column("ns", Name, nullable=False),
        # Both are empty if the event is of a whole namespace.
        Column("session_id", Name, nullable=False),
        Column("name", Name, nullable=False),
        Column("type", Name, nullable=False),
        Column("made_at", Moment, nullable=False),
        # What a save has saved, if the namespace logs values. json keeps the text, as in `property`.
        Column("value", JSON(none_as_null=True)),
        Column("size", Integer),
        # The entity tag of a saved value, without quotes.
        Column("etag", Name),
        # When the property expires from then on; NULL if it is gone.
        Column("expires_at", Moment),
        # The credential that has made the change; NULL for the service itself.
        Column("actor", Name),
    )


def _erasure() -> Column[object]:
    # The job that has erased the property; NULL for other events.
    return Column("erasure", Name)


# Events that are committed, or about to be, and have no place in the log yet. A queue: vacuum it by its rows, not by
# its size.
change_new = Table(
    "change_new",
    metadata,
    Column("account", Name, primary_key=True),
    # Drawn while the writer holds the property's row.
    Column("n", BigInteger, Identity(always=True), primary_key=True),
    Column("namespace_id", BigInteger, nullable=False),
    *_event(),
    # How long the log keeps it.
    Column("keep_seconds", Integer, nullable=False),
    _erasure(),
    postgresql_with={
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 5000,
        "autovacuum_vacuum_insert_scale_factor": 0,
    },
)

# The log. Positions of an account are assigned by one sequencer at a time: they are dense, and commit in order.
change = Table(
    "change",
    metadata,
    Column("account", Name, primary_key=True),
    Column("pos", BigInteger, primary_key=True, autoincrement=False),
    *_event(),
    Column("kept_until", Moment, nullable=False, index=True),
    _erasure(),
)

Index(
    "ix_change_property",
    change.c.account,
    change.c.ns,
    change.c.session_id,
    change.c.name,
    change.c.pos,
)

change_head = Table(
    "change_head",
    metadata,
    Column("account", Name, primary_key=True),
    # The last position in use.
    Column("pos", BigInteger, nullable=False, server_default=text("0")),
    # Which history the positions are of. A restore from a backup begins another.
    Column("epoch", BigInteger, nullable=False),
    comment="The end of the change log of each account that has ever logged changes.",
)

change_floor = Table(
    "change_floor",
    metadata,
    Column("account", Name, primary_key=True),
    Column("ns", Name, primary_key=True),
    Column("pos", BigInteger, nullable=False),
    comment="The last position of a namespace's changes that the log has forgotten.",
)

webhook = Table(
    "webhook",
    metadata,
    Column("account", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("url", Text, nullable=False),
    # What it wants of the log; NULL for all.
    Column("namespaces", ARRAY(Name)),
    Column("types", ARRAY(Name)),
    _created_at(),
    # Everything up to this position was delivered, or is not wanted.
    Column("epoch", BigInteger, nullable=False),
    Column("pos", BigInteger, nullable=False),
    # The message that is being delivered, and its last position: each try has the same id and the same events.
    Column("message_id", Name),
    Column("message_until", BigInteger),
    # When to look for something to deliver, or to try again; NULL if it is paused.
    Column("due_at", Moment, server_default=text("now()")),
    # An instance is delivering until then at the latest; NULL if none is. Each claim has a number of its own.
    Column("claimed_until", Moment),
    Column("claim", BigInteger, nullable=False, server_default=text("0")),
    # Of tries in a row; NULL if the last one succeeded.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", Moment),
    Column("last_error", Text),
    postgresql_with=_UPDATED_OFTEN,
)

Index("ix_webhook_due_at", webhook.c.due_at, postgresql_where=webhook.c.due_at.is_not(None))

webhook_secret = Table(
    "webhook_secret",
    metadata,
    Column("account", Name, primary_key=True),
    Column("webhook_id", Name, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Encrypted if `CCS_SECRET_KEY` is set.
    Column("secret", Text, nullable=False),
    # It signs until then; NULL for the newest one.
    Column("expires_at", Moment),
    comment="The newest secret of each webhook, and those before it that still sign.",
)

# A row is what is left of a job, and the proof of an erasure. When the job ends, all goes that could tell what it was
# about: `request` and `position`.
job = Table(
    "job",
    metadata,
    Column("account", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("state", Name, nullable=False, server_default="queued"),
    Column("reference", Text, nullable=False, server_default=""),
    Column("actor", Name, nullable=False),
    Column("is_dry_run", Boolean, nullable=False, server_default=text("false")),
    # What to do, and how far it is done.
    Column("request", JSON(none_as_null=True)),
    Column("position", JSON(none_as_null=True)),
    Column("examined", BigInteger, nullable=False, server_default=text("0")),
    # An estimate.
    Column("total", BigInteger, nullable=False, server_default=text("0")),
    Column("sessions", BigInteger, nullable=False, server_default=text("0")),
    Column("properties", BigInteger, nullable=False, server_default=text("0")),
    Column("changes", BigInteger, nullable=False, server_default=text("0")),
    _created_at(),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    # Which run has the job, and when another one may take it; NULL once it has ended.
    Column("holder", Name),
    Column("due_at", Moment, server_default=text("now()")),
    # When the purge deletes the row; NULL until it has ended.
    Column("purge_at", Moment),
    postgresql_with=_UPDATED_OFTEN,
)

Index("ix_job_account_created_at_id", job.c.account, job.c.created_at, job.c.id)
Index("ix_job_due_at", job.c.due_at, postgresql_where=job.c.due_at.is_not(None))
Index("ix_job_purge_at", job.c.purge_at, postgresql_where=job.c.purge_at.is_not(None))

# Counts that nobody needs to the last one: they are committed without waiting for the disk.
activity = Table(
    "activity",
    metadata,
    Column("account", Name, primary_key=True),
    Column("minute", Moment, primary_key=True, index=True),
    Column("saves", BigInteger, nullable=False, server_default=text("0")),
    Column("reads", BigInteger, nullable=False, server_default=text("0")),
    comment="How many saves and reads each account has made in each minute of the last hours.",
    postgresql_with=_UPDATED_OFTEN,
)

api_key = Table(
    "api_key",
    metadata,
    Column("key_id", Name, primary_key=True),
    Column("account", Name, nullable=False, index=True),
    Column("key_hash", LargeBinary, nullable=False),
    _created_at(),
    Column("revoked_at", Moment),
    _first_used_at(),
    # What the key may do; see `domain/access.py`. NULL namespaces are all of them.
    Column("scope", Name, nullable=False, server_default="write"),
    Column("namespaces", ARRAY(Name)),
    # The key is refused from then on; NULL if it does not expire.
    Column("expires_at", Moment),
    Column("label", Text, nullable=False, server_default=""),
)

credential = Table(
    "credential",
    metadata,
    Column("username", Name, primary_key=True),
    Column("account", Name, nullable=False, index=True),
    Column("password_hash", LargeBinary, nullable=False),
    _created_at(),
    Column("revoked_at", Moment),
    _first_used_at(),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("key_id", Name, primary_key=True),
    Column("private_key", Text, nullable=False),
    _created_at(),
)

audit = Table(
    "audit",
    metadata,
    # Empty if the line concerns the whole installation.
    Column("account", Name, primary_key=True),
    Column("recorded_at", Moment, primary_key=True, server_default=text("now()")),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("action", Name, nullable=False),
    Column("subject", Name, nullable=False),
    Column("actor", Name, nullable=False),
    Column("details", JSON(none_as_null=True)),
    comment="Who did what to credentials and whole namespaces: lines that are only ever added.",
)

# For the lines of all accounts, and for the purge.
Index("ix_audit_recorded_at_id", audit.c.recorded_at, audit.c.id)
quota = Table(
    "quota",
    metadata,
    Column("account", Name, primary_key=True),
    # NULL means no limit.
    Column("properties_limit", BigInteger),
    Column("bytes_limit", BigInteger),
    Column("sessions_limit", BigInteger),
    Column("requests_limit", Text),
    # The usage at `counted_at`; NULL if not counted yet.
    Column("properties_used", BigInteger),
    Column("bytes_used", BigInteger),
    Column("sessions_used", BigInteger),
    Column("counted_at", Moment),
    # When the next count is due.
    Column("due_at", Moment, nullable=False, server_default=text("now()")),
)

# An account whose quota limits only requests need not be counted.
Index(
    "ix_quota_due_at",
    quota.c.due_at,
    postgresql_where=or_(
        quota.c.properties_limit.is_not(None),
        quota.c.bytes_limit.is_not(None),
        quota.c.sessions_limit.is_not(None),
    ),
)

# Merges a patch into a value as RFC 7396 says. On json, not jsonb, so that every number keeps its digits.
_MERGE: DDL = DDL(  # type: ignore[no-untyped-call]
    """
CREATE FUNCTION ccs_merge(target json, patch json) RETURNS json
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
)

# PostgreSQL replaces a call of either by its expression when it plans a statement, so a call costs nothing. Citus
# accepts neither expression where a save changes a row. It accepts the functions once `ccs distribute` has declared
# them immutable. They are called with columns, so nothing is computed before there is a row.
_HAS_EXPIRED: DDL = DDL(  # type: ignore[no-untyped-call]
    """
CREATE FUNCTION ccs_has_expired(moment timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS 'SELECT moment <= clock_timestamp()'
"""
)
_ETAG: DDL = DDL(  # type: ignore[no-untyped-call]
    """
CREATE FUNCTION ccs_etag(value json) RETURNS text
LANGUAGE sql STABLE AS $$SELECT left(encode(sha256(convert_to(value::text, 'UTF8')), 'hex'), 32)$$
"""
)

# Whether a string anywhere in a value, or the name of a member, is like one of the patterns of LIKE.
_HAS_STRING: DDL = DDL(  # type: ignore[no-untyped-call]
    """
CREATE FUNCTION ccs_has_string(value json, patterns text[]) RETURNS boolean
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
)

# The same for values that are equal: the type's first letter and the first 200 characters of a string, a number as a
# double, or a word. NULL for what equals nothing.
_SEARCH_KEY: DDL = DDL(  # type: ignore[no-untyped-call]
    """
CREATE FUNCTION ccs_search_key(value json) RETURNS text
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
)

for _function in (_MERGE, _HAS_EXPIRED, _ETAG, _HAS_STRING, _SEARCH_KEY):
    event.listen(metadata, "after_create", _function)

REFERENCE_TABLES = ("alembic_version", "api_key", "credential", "quota", "signing_key")
"""Tables that every node of a distributed database has in full.

They are small, and a request looks them up before it knows its account, or together with such a table. All others
belong to accounts: every unique key of theirs begins with `account`, and every statement about them names it.
"""

ACCOUNT_TABLES = tuple(sorted(set(metadata.tables) - set(REFERENCE_TABLES)))
"""Tables whose rows each belong to one account, and which can be partitioned or distributed by it."""
