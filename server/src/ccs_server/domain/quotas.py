"""Quotas: how much an account may have, and what it is told when it has more."""

from dataclasses import dataclass

LARGEST = 2**63 - 1
"""The largest limit: what PostgreSQL's bigint holds."""


@dataclass(frozen=True)
class Amounts:
    """A number of each thing that is counted; None where there is no limit, or no count yet."""

    properties: int | None = None
    bytes: int | None = None
    sessions: int | None = None


@dataclass(frozen=True)
class Quota:
    """The limits of an account, and what it had when it was counted last.

    `requests` is a rate such as `100/second`, which is not counted here.
    """

    limits: Amounts
    used: Amounts
    requests: str | None = None

    def excess(self) -> str | None:
        """Says which limit the account is over and what to do about it; None if it is over none.

        An account that has exactly as much as its limit is not over it.
        """
        for name in ("properties", "bytes", "sessions"):
            limit, used = getattr(self.limits, name), getattr(self.used, name)
            if limit is not None and used is not None and used > limit:
                return (
                    f"The account had {used} {name} when last counted and its quota is {limit}; "
                    "delete what it does not need, or ask the operator for a larger quota."
                )
        return None
