"""Quotas: how much an account may store, and the message when it exceeds a limit."""

from dataclasses import dataclass
from typing import NamedTuple

LARGEST = 2**63 - 1
"""The largest possible limit: the maximum of PostgreSQL's bigint."""


class RateStanding(NamedTuple):
    """How an account stands to its rate limit: `remaining` of `limit` requests in a window of `window` seconds.

    More requests become possible in `reset` seconds.
    """

    limit: int
    window: int
    remaining: int
    reset: int


@dataclass(frozen=True)
class Amounts:
    """Numbers of properties, bytes and sessions; None if there is no limit, or no count yet."""

    properties: int | None = None
    bytes: int | None = None
    sessions: int | None = None


@dataclass(frozen=True)
class Quota:
    """The limits of an account, and its usage when it was last counted.

    `requests` is a rate such as `100/second`, which is enforced elsewhere.
    """

    limits: Amounts
    used: Amounts
    requests: str | None = None

    def excess(self) -> str | None:
        """Returns a sentence about the first limit that is exceeded and what to do; None if none is.

        A limit that is exactly reached is not exceeded.
        """
        for name in ("properties", "bytes", "sessions"):
            limit, used = getattr(self.limits, name), getattr(self.used, name)
            if limit is not None and used is not None and used > limit:
                return (
                    f"The account had {used} {name} when last counted and its quota is {limit}; "
                    "delete what it does not need, or ask the operator for a larger quota."
                )
        return None
