"""What is delivered to webhooks: each is a reader of the change log whose position is stored.

An instance claims a webhook before it delivers, so one message is under way to a receiver at a time, and any instance
goes on when a claim has ended: the one that made it was killed. A message is stored as its id and its last position
before it is sent first. So each try has the same id and the same events, whichever instance makes it, and nothing is
lost: the position moves only when a receiver has taken the message.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw, Struct
from msgspec.json import Decoder, decode, encode

from ccs_server.domain.change_log import Position
from ccs_server.domain.errors import Unavailable
from ccs_server.domain.webhooks import (
    GIVE_UP_SECONDS,
    MAX_EVENTS,
    MAX_MESSAGE_BYTES,
    new_message_id,
    retry_seconds,
)
from ccs_server.store.changes import Event, Filter, Page, event_json, is_known, read_changes
from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.encryption import Encryption

CLAIM_SECONDS = 5
"""How long a claim lasts, in case the instance that made it is killed. It is renewed while a message is sent."""

QUIET_SECONDS = 0.5
"""How long to leave a webhook alone that wants nothing of what was logged."""

FORGOTTEN = (
    "The log no longer has all that follows the webhook's position; read what there is now, and go on "
    "from a new position."
)

_HAS_WEBHOOKS = Statement.of("webhook_any", "SELECT 1 FROM webhook WHERE due_at <= now() LIMIT 1")

# Those that were left alone longest come first. For a join, the planner might read the heads of all logs; a scalar
# subquery is always executed as it stands.
FIND_DUE = Statement.of(
    "webhook_find_due",
    """
    SELECT w.account, w.id FROM webhook w
    WHERE w.due_at <= now() AND (w.claimed_until IS NULL OR w.claimed_until <= now())
        AND (SELECT h.pos > w.pos OR h.epoch <> w.epoch FROM change_head h WHERE h.account = w.account)
    ORDER BY w.claimed_until NULLS FIRST LIMIT $1::bigint
    """,
)

# In the following statements: $1 account, $2 the id of the webhook, $3 the number of the claim.

# $3 the length of the claim.
CLAIM = Statement.of(
    "webhook_claim",
    """
    WITH claimed AS (
        UPDATE webhook SET claim = claim + 1, claimed_until = now() + $3::integer * interval '1 second'
        WHERE account = $1 AND id = $2
            AND due_at <= now() AND (claimed_until IS NULL OR claimed_until <= now())
        RETURNING claim, url, namespaces, types, epoch, pos, message_id, message_until
    )
    SELECT claim, url, to_json(namespaces), to_json(types), epoch, pos, message_id, message_until FROM claimed
    """,
)

# $4 the seconds until another claim may be made.
HOLD = Statement.of(
    "webhook_hold",
    """
    UPDATE webhook SET claimed_until = now() + $4::float8 * interval '1 second'
    WHERE account = $1 AND id = $2 AND claim = $3::bigint
    """,
)

# $4 and $5 the epoch and the position from which was read, $6 and $7 those that were reached.
PASS = Statement.of(
    "webhook_pass",
    """
    UPDATE webhook SET epoch = $6::bigint, pos = $7::bigint, message_id = NULL, message_until = NULL
    WHERE account = $1 AND id = $2 AND claim = $3::bigint AND epoch = $4::bigint AND pos = $5::bigint
    RETURNING 1
    """,
)

# $4 and $5 as in PASS, $6 the id and $7 the last position of the message, $8 the length of the claim. It returns the
# secrets that sign it, the newest first; nothing if the webhook was paused, moved or deleted, or the claim has ended.
BEGIN = Statement.of(
    "webhook_begin",
    """
    WITH begun AS (
        UPDATE webhook SET message_id = $6, message_until = $7::bigint,
            claimed_until = now() + $8::integer * interval '1 second'
        WHERE account = $1 AND id = $2 AND claim = $3::bigint AND epoch = $4::bigint AND pos = $5::bigint
            AND due_at IS NOT NULL AND (message_id IS NULL OR message_id = $6)
        RETURNING 1
    )
    SELECT s.secret FROM webhook_secret s
    WHERE s.account = $1 AND s.webhook_id = $2 AND (s.expires_at IS NULL OR s.expires_at > now())
        AND EXISTS (SELECT 1 FROM begun)
    ORDER BY s.number DESC
    """,
)

# $4 the id of the message, $5 and $6 the epoch and the position that it has reached.
DELIVERED = Statement.of(
    "webhook_delivered",
    """
    UPDATE webhook SET epoch = $5::bigint, pos = $6::bigint, message_id = NULL, message_until = NULL,
        failures = 0, failing_since = NULL, last_error = NULL
    WHERE account = $1 AND id = $2 AND claim = $3::bigint AND message_id = $4
    RETURNING 1
    """,
)

# $4 and $5 as in PASS, $6 why, $7 the seconds until the next try, by the number of failures, $8 whether to pause, $9
# the seconds of failure after which to pause. It returns whether this has paused the webhook.
FAILED = Statement.of(
    "webhook_failed",
    """
    WITH failing AS MATERIALIZED (
        SELECT id, failures + 1 AS failures, coalesce(failing_since, now()) AS since, due_at IS NOT NULL AS is_active
        FROM webhook
        WHERE account = $1 AND id = $2 AND claim = $3::bigint AND epoch = $4::bigint AND pos = $5::bigint
        FOR UPDATE
    ), judged AS (
        SELECT *, $8::boolean OR since <= now() - $9::integer * interval '1 second' AS is_over FROM failing
    ), next AS (
        SELECT *, CASE WHEN is_active AND NOT is_over
            THEN now() + ($7::float8[])[least(failures, cardinality($7::float8[]))] * interval '1 second' END AS due_at
        FROM judged
    ), failed AS (
        UPDATE webhook w SET failures = n.failures, failing_since = n.since, last_error = $6, claimed_until = now(),
            due_at = n.due_at
        FROM next n WHERE w.account = $1 AND w.id = n.id
        RETURNING 1
    ), audited AS (
        INSERT INTO audit (account, action, subject, actor, details)
        SELECT $1, 'webhook.changed', $2, 'service', json_build_object('state', 'paused') FROM next WHERE is_over
    )
    SELECT is_over FROM next
    """,
)


class WebhookPaused(Exception):
    """A webhook was paused because of failures; the message says what has failed."""


class Claimed(NamedTuple):
    """A webhook that this instance may deliver to.

    Attributes:
        claim: the number of the claim.
        wanted: which events it wants.
        position: everything up to it was delivered.
        message_id: the id of the message that was begun; None if none was.
        until: the last position of that message.
    """

    account: str
    id: str
    claim: int
    url: str
    wanted: Filter
    position: Position
    message_id: str | None
    until: int

    def params(self) -> tuple[bytes, bytes, bytes]:
        """The first three parameters of a statement about it."""
        return self.account.encode(), self.id.encode(), b"%d" % self.claim


class Message(NamedTuple):
    """A message to send.

    Attributes:
        webhook: to which it is sent.
        id: its id, the same in each try.
        body: its body, the same in each try.
        size: the number of its events.
        secrets: those that sign it.
        reached: the position behind its last event.
    """

    webhook: Claimed
    id: str
    body: bytes
    size: int
    secrets: Sequence[str]
    reached: Position


class _Time(Struct):
    time: str


_time = Decoder(_Time)


def has_webhooks(database: Database) -> bool:
    """Whether there is a webhook that is not paused."""
    return bool(database.execute(_HAS_WEBHOOKS).ntuples)


def find_due(database: Database, limit: int) -> list[tuple[str, str]]:
    """Returns the account and id of webhooks for which something was logged, and which no instance delivers to."""
    found = database.execute(FIND_DUE, b"%d" % limit)
    return [
        ((found.get_value(row, 0) or b"").decode(), (found.get_value(row, 1) or b"").decode())
        for row in range(found.ntuples)
    ]


def claim(database: Database, account: str, id_: str) -> Claimed | None:
    """Claims a webhook; returns None if another instance has, or if there is nothing to do any more."""
    found = database.execute(CLAIM, account.encode(), id_.encode(), b"%d" % CLAIM_SECONDS)
    if not found.ntuples:
        return None
    number, url, namespaces, types, epoch, pos, message, until = (
        found.get_value(0, column) for column in range(found.nfields)
    )
    return Claimed(
        account,
        id_,
        int(number or 0),
        (url or b"").decode(),
        Filter(_names(namespaces), types=_names(types)),
        Position(int(epoch or 0), int(pos or 0)),
        message.decode() if message else None,
        int(until or 0),
    )


def renew(database: Database, webhook: Claimed) -> None:
    """Renews the claim, unless it has ended and another one was made."""
    _hold(database, webhook, CLAIM_SECONDS)


def release(database: Database, webhook: Claimed) -> None:
    """Ends the claim, so that any instance may deliver."""
    _hold(database, webhook, 0)


def _hold(database: Database, webhook: Claimed, seconds: float) -> None:
    database.execute(HOLD, *webhook.params(), b"%r" % seconds)


def next_message(database: Database, webhook: Claimed) -> Message | Claimed | None:
    """Returns the next message to send, which was begun if this is not its first try.

    Returns the webhook at its new position if it wants nothing of what was read and more follows, and None if there is
    nothing to send: nothing follows, or the webhook has been changed. The claim has then ended.

    Raises:
        WebhookPaused: the log has forgotten what follows the webhook's position.
    """
    page = read_changes(
        database,
        webhook.account,
        webhook.wanted,
        after=webhook.position.number,
        limit=MAX_EVENTS,
        backward=False,
        characters=MAX_MESSAGE_BYTES,
    )
    if not is_known(webhook.position, page):
        _fail(database, webhook, FORGOTTEN, pause=True)
        return None
    events = page.events
    if webhook.message_id is not None:
        events = [event for event in events if event.position <= webhook.until]
    if not events:
        return _pass(database, webhook, page)
    return _begin(database, webhook, page, events)


def delivered(database: Database, message: Message) -> Claimed | None:
    """Moves on behind a message that was taken; returns None if the webhook has been moved or deleted meanwhile."""
    webhook, reached = message.webhook, message.reached
    found = database.execute(
        DELIVERED,
        *webhook.params(),
        message.id.encode(),
        b"%d" % reached.epoch,
        b"%d" % reached.number,
    )
    if not found.ntuples:
        release(database, webhook)
        return None
    return webhook._replace(position=reached, message_id=None, until=0)


def failed(
    database: Database,
    message: Message,
    reason: str,
    *,
    retry_after: float = 0.0,
    pause: bool = False,
) -> None:
    """Ends the claim, and notes why a try has failed and when to make the next one.

    Args:
        database: the database.
        message: what was sent.
        reason: one sentence.
        retry_after: the least number of seconds to wait.
        pause: whether to make no other try, as the receiver wants no more.

    Raises:
        WebhookPaused: this was the last try.
    """
    _fail(database, message.webhook, reason, retry_after=retry_after, pause=pause)


def _fail(
    database: Database,
    webhook: Claimed,
    reason: str,
    *,
    retry_after: float = 0.0,
    pause: bool = False,
) -> None:
    waits = [max(retry_after, seconds) for seconds in retry_seconds()]
    found = database.execute(
        FAILED,
        *webhook.params(),
        *_from_to(webhook.position, webhook.position)[:2],
        reason.encode(),
        encode(waits).replace(b"[", b"{").replace(b"]", b"}"),
        b"t" if pause else b"f",
        b"%d" % GIVE_UP_SECONDS,
    )
    if not found.ntuples:
        release(database, webhook)
    elif found.get_value(0, 0) == b"t":
        raise WebhookPaused(reason)


def _pass(database: Database, webhook: Claimed, page: Page) -> Claimed | None:
    if webhook.message_id is None and webhook.position == (page.epoch, page.next):
        release(database, webhook)
        return None
    # All events of a begun message were erased; what followed it was not looked for.
    number = webhook.until if webhook.message_id is not None else page.next or 0
    reached = Position(page.epoch, number)
    moved = database.execute(PASS, *webhook.params(), *_from_to(webhook.position, reached))
    if moved.ntuples and number < page.head:
        return webhook._replace(position=reached, message_id=None, until=0)
    _hold(database, webhook, QUIET_SECONDS)
    return None


def _begin(
    database: Database, webhook: Claimed, page: Page, events: Sequence[Event]
) -> Message | None:
    texts, last = _texts(webhook.account, page.epoch, events)
    # A message that was begun ends where it did, even if its last events were erased.
    is_whole = last is events[-1]
    reached = Position(page.epoch, max(last.position, webhook.until if is_whole else 0))
    id_ = webhook.message_id or new_message_id()
    epoch, pos, _, until = _from_to(webhook.position, reached)
    found = database.execute(
        BEGIN, *webhook.params(), epoch, pos, id_.encode(), until, b"%d" % CLAIM_SECONDS
    )
    if not found.ntuples:
        release(database, webhook)
        return None
    encryption = Encryption(database.settings.secret_key)
    name = f"The secret of webhook {webhook.id}"
    stored = [(found.get_value(row, 0) or b"").decode() for row in range(found.ntuples)]
    try:
        secrets = [encryption.decrypt(name, secret).decode() for secret in stored]
    except Unavailable as error:
        _fail(database, webhook, error.message)
        return None
    body = b'{"type":"changes","timestamp":%b,"data":{"events":[%b]}}' % (
        encode(_time.decode(texts[-1]).time),
        b",".join(texts),
    )
    return Message(webhook, id_, body, len(texts), secrets, reached)


def _texts(account: str, epoch: int, events: Sequence[Event]) -> tuple[list[bytes], Event]:
    """As many of the events as JSON as a message may have, and the last of them; at least one."""
    texts: list[bytes] = []
    room = MAX_MESSAGE_BYTES - _ENVELOPE_BYTES
    for event in events:
        text = event_json(account, epoch, event)
        if len(text) > room and not texts:
            text = _without_value(text)
        if len(text) >= room and texts:
            break
        texts.append(text)
        room -= len(text) + 1
        last = event
    return texts, last


_ENVELOPE_BYTES = 128
"""More than what is around the events of a message."""


def _without_value(text: bytes) -> bytes:
    """An event without its value, which is too large for a message."""
    members: dict[str, Raw] = decode(text, type=dict[str, Raw])
    return encode({name: member for name, member in members.items() if name != "value"})


def _names(column: bytes | None) -> list[str] | None:
    return decode(column, type=list[str]) if column is not None else None


def _from_to(position: Position, reached: Position) -> tuple[bytes, bytes, bytes, bytes]:
    numbers = (*position, *reached)
    epoch, pos, to_epoch, to_pos = (b"%d" % number for number in numbers)
    return epoch, pos, to_epoch, to_pos
