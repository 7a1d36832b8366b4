"""Creates, lists, changes and deletes webhooks; `deliveries` delivers to them.

A webhook is a reader of the account's change log whose position is stored. Its secrets are in a table of their own,
because those that were replaced still sign for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from ccs_server.domain.change_log import Position
from ccs_server.domain.credentials import is_id, new_id
from ccs_server.domain.errors import LimitReached, NotFound
from ccs_server.domain.limits import MAX_WEBHOOKS
from ccs_server.domain.receivers import read_url
from ccs_server.domain.webhooks import new_secret
from ccs_server.store import audit
from ccs_server.store.audit import Action, By
from ccs_server.store.changes import Filter
from ccs_server.store.database import Database
from ccs_server.store.encryption import Encryption
from ccs_server.store.operations.idempotency import Once, run_once
from ccs_server.store.tables import change_head, webhook, webhook_secret


class WebhookTerms(NamedTuple):
    """Where a webhook sends, and what: events of these namespaces and types, None for all."""

    url: str
    namespaces: Sequence[str] | None = None
    types: Sequence[str] | None = None


class WebhookChange(NamedTuple):
    """What to change of a webhook.

    Attributes:
        is_paused: whether to deliver no longer, or to deliver again, at once; None to leave it as it is.
        position: what follows it is delivered from then on; None to go on.
        overlap: the seconds for which the old secret still signs beside a new one; None to make no new one.
    """

    is_paused: bool | None = None
    position: Position | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Webhook:
    """A webhook, without its secrets.

    Attributes:
        position: everything up to it was delivered, or is not wanted.
        lag: the number of events in the log after it, wanted or not.
        failing_since: when the first of the tries failed that have failed since the last success.
        last_error: why the last try failed; None if it succeeded.
    """

    account: str
    id: str
    terms: WebhookTerms
    created_at: datetime
    position: Position
    is_paused: bool
    lag: int
    failing_since: datetime | None
    last_error: str | None

    @property
    def wanted(self) -> Filter:
        """Which events of the log it wants."""
        return Filter(self.terms.namespaces, types=self.terms.types)


@dataclass(frozen=True)
class ChangedWebhook:
    """A webhook that was created or changed, with its new secret if it has one, which cannot be shown again."""

    webhook: Webhook
    secret: str | None = field(repr=False)


def create_webhook(
    database: Database,
    account: str,
    actor: str,
    terms: WebhookTerms,
    once: Once[ChangedWebhook] | None = None,
) -> ChangedWebhook:
    """Creates a webhook, which delivers what is logged from now on.

    Raises:
        LimitReached: the account has the maximum number of webhooks.
        Replay: the request of `once` has been answered before.
    """
    by, id_ = By(account, actor), new_id()

    def create(connection: Connection) -> ChangedWebhook:
        _lock(connection, account)
        count = select(func.count()).where(webhook.c.account == account)
        if connection.execute(count).scalar_one() >= MAX_WEBHOOKS:
            raise LimitReached(
                f"An account may have at most {MAX_WEBHOOKS} webhooks; delete one that you do not need."
            )
        head = change_head.c
        end = connection.execute(
            select(head.epoch, head.pos).where(head.account == account)
        ).one_or_none()
        epoch, pos = end or (0, 0)
        row = {**terms._asdict(), "account": account, "id": id_, "epoch": epoch, "pos": pos}
        connection.execute(insert(webhook).values(row))
        secret = _add_secret(database, connection, account, id_, 1)
        details = {"host": read_url(terms.url).host}
        audit.record(connection, by, Action.WEBHOOK_CREATED, [id_], details)
        return ChangedWebhook(_find(connection, account, id_), secret)

    return run_once(database, once, create)


def list_webhooks(database: Database, account: str) -> list[Webhook]:
    """The webhooks of the account, oldest first."""
    with database.begin() as connection:
        return [_webhook(row) for row in connection.execute(_select(account))]


def find_webhook(database: Database, account: str, id_: str) -> Webhook:
    """Returns a webhook of the account.

    Raises:
        NotFound: there is none with this id.
    """
    with database.begin() as connection:
        return _find(connection, account, id_)


def change_webhook(  # noqa: PLR0913, PLR0917 - whose webhook, by whom, and how
    database: Database,
    account: str,
    id_: str,
    actor: str,
    change: WebhookChange,
    once: Once[ChangedWebhook] | None = None,
) -> ChangedWebhook:
    """Changes a webhook. A message that is being sent meanwhile may still arrive.

    Raises:
        NotFound: the account has none with this id.
        Replay: the request of `once` has been answered before.
    """
    by = By(account, actor)
    is_its = and_(webhook.c.account == account, webhook.c.id == id_)

    def apply(connection: Connection) -> ChangedWebhook:
        # The row is locked, so that secrets are numbered one after the other.
        locked = select(webhook.c.due_at).where(is_its).with_for_update()
        was = connection.execute(locked).one_or_none()
        if was is None:
            raise _none(id_)
        was_paused = was.due_at is None
        if values := _values(change, was_paused=was_paused):
            connection.execute(update(webhook).where(is_its).values(values))
        if details := _changed(change, was_paused=was_paused):
            audit.record(connection, by, Action.WEBHOOK_CHANGED, [id_], details)
        secret = None
        if change.overlap is not None:
            secret = _rotate(database, connection, account, id_, change.overlap)
            overlap = {"overlap": change.overlap}
            audit.record(connection, by, Action.WEBHOOK_SECRET_ROTATED, [id_], overlap)
        return ChangedWebhook(_find(connection, account, id_), secret)

    return run_once(database, once, apply)


def delete_webhook(database: Database, account: str, id_: str, actor: str) -> None:
    """Deletes a webhook, if the account has it. A message that is being sent meanwhile may still arrive."""
    if not is_id(id_):
        return
    columns, secrets = webhook.c, webhook_secret.c
    with database.begin() as connection:
        gone = delete(webhook).where(columns.account == account, columns.id == id_)
        if connection.execute(gone).rowcount:
            its = and_(secrets.account == account, secrets.webhook_id == id_)
            connection.execute(delete(webhook_secret).where(its))
            audit.record(connection, By(account, actor), Action.WEBHOOK_DELETED, [id_])


def encrypt_webhook_secrets(database: Database) -> list[str]:
    """Encrypts all secrets with the first key of `CCS_SECRET_KEY`; returns the ids of the webhooks that changed.

    Raises:
        Unavailable: a secret is encrypted with a key not in `CCS_SECRET_KEY`; nothing has changed.
    """
    encryption = Encryption(database.settings.secret_key)
    columns = webhook_secret.c
    changed = set()
    with database.begin() as connection:
        for row in connection.execute(select(webhook_secret)).all():
            secret = encryption.decrypt(f"The secret of webhook {row.webhook_id}", row.secret)
            if not encryption.is_current(row.secret):
                its = and_(
                    columns.account == row.account,
                    columns.webhook_id == row.webhook_id,
                    columns.number == row.number,
                    columns.secret == row.secret,
                )
                again = update(webhook_secret).where(its)
                connection.execute(again.values(secret=encryption.encrypt(secret)))
                changed.add(row.webhook_id)
    return sorted(changed)


def _changed(change: WebhookChange, *, was_paused: bool) -> dict[str, Any]:
    """What the audit has of a change."""
    details: dict[str, Any] = {}
    if change.is_paused is not None and change.is_paused != was_paused:
        details["state"] = "paused" if change.is_paused else "active"
    if change.position is not None:
        details["moved"] = True
    return details


def _values(change: WebhookChange, *, was_paused: bool) -> dict[str, Any]:
    """The columns of a webhook that a change sets."""
    values: dict[str, Any] = {}
    is_paused = was_paused if change.is_paused is None else change.is_paused
    if change.is_paused is not None or change.position is not None:
        values["due_at"] = None if is_paused else func.now()
    if change.is_paused is False or change.position is not None:
        values |= {"failures": 0, "failing_since": None, "last_error": None}
    if change.position is not None:
        epoch, pos = change.position
        values |= {"epoch": epoch, "pos": pos, "message_id": None, "message_until": None}
    return values


def _rotate(
    database: Database, connection: Connection, account: str, id_: str, overlap: int
) -> str:
    columns = webhook_secret.c
    its = and_(columns.account == account, columns.webhook_id == id_)
    ends = func.now() + timedelta(seconds=overlap)
    newest: int = connection.scalar(select(func.max(columns.number)).where(its)) or 0
    has_ended = columns.expires_at <= func.now()
    connection.execute(delete(webhook_secret).where(its, has_ended))
    connection.execute(
        update(webhook_secret).where(its).values(expires_at=func.least(columns.expires_at, ends))
    )
    return _add_secret(database, connection, account, id_, newest + 1)


def _add_secret(
    database: Database, connection: Connection, account: str, id_: str, number: int
) -> str:
    secret = new_secret()
    stored = Encryption(database.settings.secret_key).encrypt(secret.encode())
    row = {"account": account, "webhook_id": id_, "number": number, "secret": stored}
    connection.execute(insert(webhook_secret).values(row))
    return secret


def _lock(connection: Connection, account: str) -> None:
    """Lets one transaction at a time create webhooks of the account. It reads a table as `document.LOCK` does."""
    count = select(func.count()).where(webhook.c.account == account).subquery()
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"webhooks/{account}", 0))
    connection.execute(select(lock).select_from(count))


def _find(connection: Connection, account: str, id_: str) -> Webhook:
    row = None
    if is_id(id_):
        row = connection.execute(_select(account).where(webhook.c.id == id_)).one_or_none()
    if row is None:
        raise _none(id_)
    return _webhook(row)


def _none(id_: str) -> NotFound:
    return NotFound(f"The account has no webhook '{id_}'; list its webhooks.")


def _select(account: str) -> Any:  # noqa: ANN401 - a select of these columns
    columns, head = webhook.c, change_head.c
    its_head = and_(head.account == account, head.account == columns.account)
    # A position of another history tells nothing; all events are then after it.
    passed = case((head.epoch == columns.epoch, columns.pos), else_=literal(0, Integer))
    return (
        select(webhook, func.coalesce(head.pos - passed, 0).label("lag"))
        .select_from(webhook.outerjoin(change_head, its_head))
        .where(columns.account == account)
        .order_by(columns.created_at, columns.id)
    )


def _webhook(row: Row[*tuple[Any, ...]]) -> Webhook:
    return Webhook(
        row.account,
        row.id,
        WebhookTerms(row.url, row.namespaces, row.types),
        row.created_at,
        Position(row.epoch, row.pos),
        row.due_at is None,
        row.lag,
        row.failing_since,
        row.last_error,
    )
