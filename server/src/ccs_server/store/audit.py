"""The audit: who made, first used, rotated or revoked which credential, and who deleted which namespace.

A line is inserted by the statement, or in the transaction, that does what the line tells: neither exists without the
other, whatever is killed and when. Lines hold public names alone, no secret and no value. They are never changed, and
the purge deletes them once they are older than `CCS_AUDIT_RETENTION`.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, tuple_

from ccs_server.store.database import Database
from ccs_server.store.tables import audit
from ccs_server.store.wire import Statement

OPERATOR = "operator"
"""Whoever administers the installation, by the command line for example."""

SERVICE = "service"
"""The service itself: it makes the first key and the first signing key."""

INSTALLATION = ""
"""Stands for the account where a line concerns the whole installation."""

_PAGE = 1000

_log = logging.getLogger("ccs.audit")


class Action(StrEnum):
    """What a line tells. Its subject is the id of the key, the user name or the name of the namespace."""

    KEY_CREATED = "key.created"
    KEY_FIRST_USED = "key.first_used"
    KEY_REVOKED = "key.revoked"
    CREDENTIAL_CREATED = "credential.created"
    CREDENTIAL_FIRST_USED = "credential.first_used"
    CREDENTIAL_REVOKED = "credential.revoked"
    SIGNING_KEY_CREATED = "signing_key.created"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    SIGNING_KEY_ENCRYPTED = "signing_key.encrypted"
    NAMESPACE_DELETED = "namespace.deleted"


class By(NamedTuple):
    """Who acts, and on which account: `operator` or `operator:NAME`, `service`, `key:ID` or `user:NAME`."""

    account: str
    actor: str


@dataclass(frozen=True)
class AuditLine:
    """One line. `account` is None where it concerns the whole installation; `actor` is as in `By`."""

    id: int
    recorded_at: datetime
    account: str | None
    action: str
    subject: str
    actor: str
    details: dict[str, Any] | None


# Deletes a batch of lines older than $2 seconds; returns how many it has looked at and how many it has deleted.
PURGE_AUDIT = Statement.of(
    "purge_audit",
    """WITH deleted AS (
        DELETE FROM audit WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM audit
            WHERE recorded_at < now() - make_interval(secs => $2::bigint)
            ORDER BY recorded_at LIMIT $1::bigint
            FOR UPDATE SKIP LOCKED
        )) RETURNING 1
    )
    SELECT count(*), count(*) FROM deleted""",
)


def record(
    connection: Connection,
    by: By,
    action: Action,
    subjects: Iterable[str],
    details: dict[str, Any] | None = None,
) -> None:
    """Adds a line for each subject, as part of the transaction on `connection`."""
    line = {**by._asdict(), "action": action, "details": details}
    lines = [line | {"subject": subject} for subject in subjects]
    if lines:
        connection.execute(insert(audit), lines)


def log(by: By, action: Action, subject: str) -> None:
    """Tells the log of a line that has been committed."""
    _log.info("%s: %s of account %s, by %s", action, subject, by.account, by.actor)


def read_audit(
    database: Database, account: str | None = None, since: datetime | None = None
) -> Iterator[AuditLine]:
    """The lines of an account, or of all accounts and the installation, oldest first.

    Args:
        database: where to read.
        account: None for all.
        since: leaves out what was recorded before.

    Raises:
        Unavailable: the database cannot be used now.
    """
    columns = audit.c
    place = tuple_(columns.recorded_at, columns.id)
    page = (
        select(
            columns.id,
            columns.recorded_at,
            columns.account,
            columns.action,
            columns.subject,
            columns.actor,
            columns.details,
        )
        .order_by(columns.recorded_at, columns.id)
        .limit(_PAGE)
    )
    if account is not None:
        page = page.where(columns.account == account)
    following = page if since is None else page.where(columns.recorded_at >= since)
    while True:
        with database.begin() as connection:
            rows = connection.execute(following).all()
        for id_, recorded_at, of_account, *rest in rows:
            yield AuditLine(id_, recorded_at, of_account or None, *rest)
        if len(rows) < _PAGE:
            return
        following = page.where(place > (rows[-1].recorded_at, rows[-1].id))
