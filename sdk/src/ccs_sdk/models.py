"""What the service answers, as frozen dataclasses: datetimes are aware and in UTC."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ccs_sdk._json import Value

FOREVER = timedelta(0)
"""The TTL that means "until it is deleted"."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that was registered or brought into being.

    Attributes:
        name: Its name.
        created_at: When it came into being.
        ttl: How long its properties live after each write; `FOREVER` (zero) if none is set.
    """

    name: str
    created_at: datetime
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class SessionTTL:
    """A session that has a TTL of its own.

    Attributes:
        session_id: The session.
        created_at: When it got a TTL of its own.
        ttl: How long its properties live after each write; `FOREVER` (zero) means that, whatever
            the namespace says.
    """

    session_id: str
    created_at: datetime
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class SessionProperties:
    """A session with all of its live properties.

    Attributes:
        session_id: The session; `DEFAULT_SESSION` for the namespace's own properties.
        properties: Values by name.
    """

    session_id: str
    properties: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Document:
    """All live properties of one namespace and session, as version 2 shows them.

    Attributes:
        account_id: The account it belongs to.
        document_key: `account:namespace:session`, with nothing after the last colon if no session
            was named.
        document_type: Always `CONTEXT`.
        namespace: Its namespace.
        session_id: Its session, or None if none was named.
        payload: Values by name.
        tenant_id: The account, once more.
        expires_at: When the last of its properties expires; None if one of them never does.
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
    """The answer to a write of version 2: which document was written.

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
        value: The JWT; `repr` does not show it.
        expires_in: How long it was valid when it was issued.
    """

    value: str = field(repr=False)
    expires_in: timedelta
