"""What the service tells of a property, a lease and a job, in responses and in errors.

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


@dataclass(frozen=True, slots=True)
class JobProgress:
    """What a job has done until now or, if it is a dry run, found.

    Attributes:
        examined: The properties and changes that were examined; of a deletion, the sessions.
        total: About how many there are to examine.
        sessions: Whole sessions.
        properties: Properties.
        changes: What the change log had.
    """

    examined: int
    total: int
    sessions: int
    properties: int
    changes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when the service told of it. What it looks for is never told.

    Attributes:
        id: Its id.
        kind: `erase` or `delete`.
        state: `queued`, `running`, `done`, `failed` or `canceled`.
        reference: What its maker calls it; empty if it has no reference.
        dry_run: Whether it only counts.
        by: Who made it: the id of a key.
        created_at: When it was made.
        started_at: When it began: what was saved before is found. None if it is queued.
        finished_at: When it ended; None if it has not.
        progress: What it has done.
    """

    id: str
    kind: str
    state: str
    reference: str
    dry_run: bool
    by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: JobProgress

    @property
    def has_ended(self) -> bool:
        """Whether it is done, has failed or was canceled."""
        return self.finished_at is not None
