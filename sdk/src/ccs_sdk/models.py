"""Responses of the service, as frozen dataclasses. Datetimes are aware and in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ccs_sdk._json import Value

FOREVER = timedelta(0)
"""The TTL of properties that never expire."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, created by registering it or by saving a property.

    Attributes:
        name: The name.
        created_at: When it was created.
        ttl: How long its properties live after each write; `FOREVER` (zero) if it has no TTL.
    """

    name: str
    created_at: datetime
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class SessionTTL:
    """A session that has a TTL.

    Attributes:
        session_id: The session's id.
        created_at: When its TTL was first set.
        ttl: How long its properties live after each write. `FOREVER` (zero) means forever, even if
            the namespace has a TTL.
    """

    session_id: str
    created_at: datetime
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class SessionProperties:
    """A session with all its live properties.

    Attributes:
        session_id: The session's id; `DEFAULT_SESSION` for the namespace's own properties.
        properties: Values by name.
    """

    session_id: str
    properties: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Document:
    """A document of version 2: all live properties of one namespace and session.

    Attributes:
        account_id: The account.
        document_key: `account:namespace:session`; the session is empty if none was named.
        document_type: Always `CONTEXT`.
        namespace: The namespace.
        session_id: The session, or None if none was named.
        payload: Values by name.
        tenant_id: The account, as in `account_id`.
        expires_at: When the last of its properties expires; None if one of them never expires.
    """

    account_id: str
    document_key: str
    document_type: str
    namespace: str
    session_id: str | None
    payload: dict[str, Value]
    tenant_id: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class DocumentReceipt:
    """The response to a write of version 2, which names the document.

    Attributes:
        document_key: `account:namespace:session`.
        tenant_id: The account.
    """

    document_key: str
    tenant_id: str


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token of version 2.

    Attributes:
        value: The JWT. It is not part of the `repr`.
        expires_in: How long the token is valid after it was issued.
    """

    value: str = field(repr=False)
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class Hit:
    """A session that `find` found.

    Attributes:
        session_id: The session's id; `DEFAULT_SESSION` for the namespace's own properties.
        updated_at: When one of its live properties was last saved; None if that was before the
            service recorded it.
        properties: Those of the requested properties that exist, as values by name; empty if none
            were requested.
    """

    session_id: str
    updated_at: datetime | None
    properties: dict[str, Value]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of the lines of an import.

    Attributes:
        saved: How many were saved.
        skipped: How many were not, because they have expired or what exists was kept.
    """

    saved: int
    skipped: int


@dataclass(frozen=True, slots=True, eq=False)
class SessionToken:
    """A token for one session, to hand to a browser or a widget.

    Attributes:
        value: The token. It is not part of the `repr`.
        expires_at: When it ends.
    """

    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class APIKey:
    """A key of the account, without its secret.

    Attributes:
        key_id: Its id, which names it in `delete` and `rotate`.
        label: What it is for, in the words of its maker; empty if it has no label.
        scope: `read`, `write` or `admin`.
        namespaces: The namespaces that it may use; None for all. A `*` at the end of one stands for
            any characters.
        created_at: When it was made.
        expires_at: When it ends; None if it never does.
    """

    key_id: str
    label: str
    scope: str
    namespaces: list[str] | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class NewAPIKey:
    """A key that was just made.

    Attributes:
        info: The key, as `client.keys.list()` shows it.
        key: The key itself, told this one time. It is not part of the `repr`.
    """

    info: APIKey
    key: str = field(repr=False)

    @property
    def key_id(self) -> str:
        """Its id."""
        return self.info.key_id


@dataclass(frozen=True, slots=True)
class NamespaceSettings:
    """What is switched on in a namespace.

    Attributes:
        changes: What the change log has of it: `off`, `names` or `values`.
        keep_changes: How long the log keeps a change.
        index: The names by which `find` finds sessions with an index.
        sort_by_update: Whether `find` sorts by the last save.
        index_is_ready: Whether the index is filled. Until it is, `find` works without.
    """

    changes: str
    keep_changes: timedelta
    index: Sequence[str] = ()
    sort_by_update: bool = False
    index_is_ready: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change of a property, the deletion of a namespace, or the end of an erasure.

    Attributes:
        id: Its position, for `after`: what follows it has not been seen yet.
        type: `property.set`, `property.touched` (only its expiry), `property.deleted`,
            `property.expired`, `namespace.deleted` or `erasure.done`.
        time: When it was made.
        namespace: The namespace.
        session_id: The session, `DEFAULT_SESSION` for the namespace's own properties; None if the
            event is of the whole namespace.
        name: The property; None if the event is of the whole namespace.
        has_value: Whether it tells the value: it was saved, and the namespace logs values.
        value: What was saved; None without a value.
        etag: The entity tag of what was saved, or None.
        expires_at: When the property expires from then on; None for never, and if it is gone.
        by: Who made it: the id of a key, or `user:` and a user name; None for the service itself.
        erasure: The job that has erased the property. Such a change is told for a day only.
        erased: Of `erasure.done`, how many properties of the namespace were erased; else None. Who was
            told of fewer must list anew what there is.
    """

    id: str
    type: str
    time: datetime
    namespace: str
    session_id: str | None
    name: str | None
    has_value: bool
    value: Value
    etag: str | None
    expires_at: datetime | None
    by: str | None
    erasure: str | None = None
    erased: int | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook, without its secret.

    Attributes:
        id: Its id.
        url: Where its messages are sent.
        namespaces: The namespaces whose changes it sends; empty for all.
        types: The types of changes that it sends; empty for all.
        is_paused: Whether it sends nothing until it is resumed.
        created_at: When it was made.
        after: Everything up to this position was delivered, or is not wanted.
        lag: How many changes the log has after that, wanted or not.
        failing_since: When the first try failed since the last success; None if none has.
        last_error: Why the last try failed; None if it has not.
    """

    id: str
    url: str
    namespaces: list[str]
    types: list[str]
    is_paused: bool
    created_at: datetime
    after: str
    lag: int
    failing_since: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, eq=False)
class NewWebhook:
    """A webhook that was just made, or whose secret was just replaced.

    Attributes:
        info: The webhook, as `client.webhooks.get()` shows it.
        secret: What `verify_webhook` needs, told this one time. It is not part of the `repr`.
    """

    info: Webhook
    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id


@dataclass(frozen=True, slots=True, eq=False)
class WebhookMessage:
    """A message of a webhook that was verified.

    Attributes:
        id: Its id, the same if it is sent again.
        changes: What it tells, in the order of the log; at most 100.
    """

    id: str
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are.

    Attributes:
        count: The number.
        is_estimate: Whether it is only about right.
    """

    count: int
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class NamespaceCounts:
    """How much a namespace has.

    Attributes:
        name: The namespace.
        ttl: How long its properties live after each write; `FOREVER` (zero) if it has no TTL.
        properties: How many properties it has.
        sessions: How many sessions have some of them.
    """

    name: str
    ttl: timedelta
    properties: Count
    sessions: Count


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """How many saves and reads there were in a minute.

    Attributes:
        time: When the minute began.
        saves: Saves and deletions.
        reads: Reads.
    """

    time: datetime
    saves: int
    reads: int


@dataclass(frozen=True, slots=True)
class Expiries:
    """How many properties expire in five minutes, unless they are saved again.

    Attributes:
        time: When the five minutes begin.
        properties: How many properties expire in them.
    """

    time: datetime
    properties: Count


@dataclass(frozen=True, slots=True)
class Activity:
    """What an account has, what is done with it, and what is about to expire.

    Attributes:
        time: When that was, by the service's clock.
        properties: How many properties there are; None for a key that is limited to namespaces.
        sessions: How many sessions have some of them; None for such a key.
        namespaces: The namespaces that the key may use, by name; at most 100.
        minutes: Saves and reads in each of the last 60 minutes; empty for a key that is limited to
            namespaces.
        expiring: What expires in each of the next twelve steps of five minutes.
        next: Where the next page of namespaces begins, for `after`; None on the last page.
    """

    time: datetime
    properties: Count | None
    sessions: Count | None
    namespaces: list[NamespaceCounts]
    minutes: list[MinuteCounts]
    expiring: list[Expiries]
    next: str | None
