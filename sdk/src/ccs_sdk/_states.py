"""What the service tells of a property and of a lease, in responses and in errors.

The public names are exported by the package. They stand below `errors`, because errors contain them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Property:
    """A property with what the service knows of it.

    Attributes:
        value: The value.
        etag: The entity tag of the value, with its quotes; pass it as `if_match`. It depends on the
            value alone, so a value that comes back has its old tag again.
        expires_at: When the property expires, in UTC; None if it never does.
        updated_at: When the value was last saved, in UTC; None if that was before the service
            recorded it.
    """

    value: Any
    etag: str
    expires_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds the lease of a session.

    Attributes:
        owner: The label that the holder gave itself. It proves nothing.
        expires_at: When the lease ends unless it is renewed, in UTC.
    """

    owner: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """A lease that was granted or renewed.

    Attributes:
        fence: The number that allows writes while the lease lasts; pass it as `fence`. Later leases
            of the session have larger ones.
        expires_at: When the lease ends unless it is renewed, in UTC.
    """

    fence: int
    expires_at: datetime
