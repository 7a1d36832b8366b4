"""The audit log: who created, used first, rotated or revoked a credential, deleted or erased data, changed settings.

A line is inserted in the same transaction as the change that it records, so that neither can exist without the other.
Lines contain public names only, never secrets or values. They are never updated, and the purge deletes them once they
are older than `CCS_AUDIT_RETENTION`.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, tuple_

from ccs_server.store.database import Database
from ccs_server.store.tables import audit

OPERATOR = "operator"
"""The actor when an administrator of the installation makes a change, for example on the command line."""

SERVICE = "service"
"""The actor when the service itself makes a change: it creates the first key and the first signing key."""

INSTALLATION = ""
"""The account of lines that concern the whole installation."""

_PAGE = 1000

_log = logging.getLogger("ccs.audit")


class Action(StrEnum):
    """What happened.

    The subject of a line is a key id, a user name, a namespace, the id of a webhook or a job, or the account.
    """

    KEY_CREATED = "key.created"
    KEY_FIRST_USED = "key.first_used"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"
    CREDENTIAL_CREATED = "credential.created"
    CREDENTIAL_FIRST_USED = "credential.first_used"
    CREDENTIAL_REVOKED = "credential.revoked"
    SIGNING_KEY_CREATED = "signing_key.created"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    SIGNING_KEY_ENCRYPTED = "signing_key.encrypted"
    NAMESPACE_CHANGED = "namespace.changed"
    NAMESPACE_DELETED = "namespace.deleted"
    QUOTA_CHANGED = "quota.changed"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 - no secret
    JOB_CREATED = "job.created"
    JOB_ENDED = "job.ended"


class By(NamedTuple):
    """An account, and who acts on it: `operator` or `operator:NAME`, `service`, `key:ID` or `user:NAME`."""

    account: str
    actor: str


@dataclass(frozen=True)
class AuditLine:
    """A line of the audit log. `account` is None if it concerns the whole installation; `actor` is as in `By`."""

    id: int
    recorded_at: datetime
    account: str | None
    action: str
    subject: str
    actor: str
    details: dict[str, Any] | None


def record(
    connection: Connection,
    by: By,
    action: Action,
    subjects: Iterable[str],
    details: dict[str, Any] | None = None,
) -> None:
    """Adds a line for each subject, in the transaction of `connection`."""
    line = {**by._asdict(), "action": action, "details": details}
    lines = [line | {"subject": subject} for subject in subjects]
    if lines:
        connection.execute(insert(audit), lines)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The details of a line about settings: of each that is not what it was, both values."""
    return {
        name: {"from": before[name], "to": value}
        for name, value in after.items()
        if before[name] != value
    }


def log(by: By, action: Action, subject: str) -> None:
    """Writes a committed line to the service's own log."""
    _log.info("%s: %s of account %s, by %s", action, subject, by.account, by.actor)


def read_audit(
    database: Database, account: str | None = None, since: datetime | None = None
) -> Iterator[AuditLine]:
    """Yields the lines of an account, or of all accounts and the installation, oldest first.

    Args:
        database: the database to read from.
        account: the account; None for all accounts and the installation.
        since: skips lines that were recorded earlier.

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
