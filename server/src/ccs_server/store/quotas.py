"""Stores the quotas of accounts. The operator manages them; requests read them along with the account's credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.json import Decoder
from sqlalchemy import ColumnElement, Connection, Row, delete, func, null, select
from sqlalchemy.dialects.postgresql import insert

from ccs_server.domain.errors import NotFound
from ccs_server.domain.quotas import Amounts, Quota
from ccs_server.store import audit
from ccs_server.store.audit import OPERATOR, Action, By
from ccs_server.store.database import Database
from ccs_server.store.tables import quota

LIMITS = ("properties", "bytes", "sessions", "requests")
"""The names of the limits that a quota may set."""

# A subquery for a statement whose row `holder` has the account. Its value is NULL if the account has no quota.
QUOTA_OF_HOLDER = """SELECT json_build_object(
    'limits', json_build_object(
        'properties', properties_limit, 'bytes', bytes_limit, 'sessions', sessions_limit),
    'used', json_build_object(
        'properties', properties_used, 'bytes', bytes_used, 'sessions', sessions_used),
    'requests', requests_limit
) FROM quota WHERE quota.account = holder.account"""

decode_quota = Decoder(Quota).decode
"""Decodes the value of QUOTA_OF_HOLDER."""

_LIMIT_COLUMNS = [quota.c[f"{name}_limit"] for name in LIMITS]


@dataclass(frozen=True)
class AccountQuota:
    """The quota of an account; `counted_at` is None if the account has not been counted yet."""

    account: str
    quota: Quota
    counted_at: datetime | None


def set_quota(
    database: Database,
    account: str,
    limits: Mapping[str, int | str | None],
    actor: str = OPERATOR,
) -> None:
    """Sets the given limits, by their names in LIMITS; None removes a limit. Other limits are unchanged.

    When the last limit is removed, so is the quota.

    Raises:
        Unavailable: the database cannot be used now.
    """
    values = {f"{name}_limit": limit for name, limit in limits.items()}
    # Have the account counted now against the new limit.
    upsert = insert(quota).values(account=account, due_at=func.now(), **values)
    changed = {name: upsert.excluded[name] for name in (*values, "due_at")}
    upsert = upsert.on_conflict_do_update(index_elements=[quota.c.account], set_=changed)
    is_empty = (quota.c.account == account, *(column.is_(null()) for column in _LIMIT_COLUMNS))
    with database.begin() as connection:
        before = _limits(connection, account)
        connection.execute(upsert)
        connection.execute(delete(quota).where(*is_empty))
        _record(connection, By(account, actor), before, {**before, **limits})


def clear_quota(database: Database, account: str, actor: str = OPERATOR) -> None:
    """Removes the quota of the account.

    Raises:
        NotFound: the account has no quota.
        Unavailable: the database cannot be used now.
    """
    with database.begin() as connection:
        before = _limits(connection, account)
        cleared = connection.execute(delete(quota).where(quota.c.account == account)).rowcount
        _record(connection, By(account, actor), before, dict.fromkeys(LIMITS))
    if not cleared:
        raise NotFound(f"Account '{account}' has no quota.")


def _limits(connection: Connection, account: str) -> dict[str, int | str | None]:
    """The limits of the account, which no one else changes until the end of the transaction."""
    found = select(*_LIMIT_COLUMNS).where(quota.c.account == account).with_for_update()
    row = connection.execute(found).one_or_none()
    return dict(zip(LIMITS, row or [None] * len(LIMITS), strict=True))


def _record(
    connection: Connection,
    by: By,
    before: Mapping[str, int | str | None],
    after: Mapping[str, int | str | None],
) -> None:
    if changed := audit.difference(before, after):
        audit.record(connection, by, Action.QUOTA_CHANGED, [by.account], changed)


def find_quota(database: Database, account: str) -> AccountQuota | None:
    """Returns the quota of the account; None if it has none.

    Raises:
        Unavailable: the database cannot be used now.
    """
    with database.begin() as connection:
        row = connection.execute(select(quota).where(quota.c.account == account)).one_or_none()
    return _read(row) if row else None


def list_quotas(database: Database) -> list[AccountQuota]:
    """Returns all quotas, ordered by account.

    Raises:
        Unavailable: the database cannot be used now.
    """
    with database.begin() as connection:
        rows = connection.execute(select(quota).order_by(quota.c.account)).all()
    return [_read(row) for row in rows]


def list_fullest_quotas(database: Database, most: int) -> tuple[list[AccountQuota], int]:
    """Returns the fullest quotas, at most `most` of them, and the number of all quotas.

    The quota that is nearest to one of its limits, or furthest over it, comes first.

    Raises:
        Unavailable: the database cannot be used now.
    """
    fullness: ColumnElement[float] = func.greatest(
        *(quota.c[f"{name}_used"] * 1.0 / quota.c[f"{name}_limit"] for name in LIMITS[:3])
    )
    fullest = select(quota).order_by(fullness.desc().nulls_last(), quota.c.account).limit(most)
    with database.begin() as connection:
        rows = connection.execute(fullest).all()
        total = connection.execute(select(func.count()).select_from(quota)).scalar_one()
    return [_read(row) for row in rows], total


def _read(row: Row[Any]) -> AccountQuota:
    limits = Amounts(row.properties_limit, row.bytes_limit, row.sessions_limit)
    used = Amounts(row.properties_used, row.bytes_used, row.sessions_used)
    return AccountQuota(row.account, Quota(limits, used, row.requests_limit), row.counted_at)
