"""Responses of the service, as frozen dataclasses. Datetimes are aware and in UTC."""

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
