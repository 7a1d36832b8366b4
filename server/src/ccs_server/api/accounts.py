"""The account that a request is made for, and what its quota allows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccs_server.domain.errors import LimitReached

if TYPE_CHECKING:
    from limits import RateLimitItem


@dataclass(frozen=True, slots=True)
class Account:
    """An account as its credential was found; kept for `CCS_CREDENTIAL_CACHE` seconds.

    Attributes:
        id: its accountId.
        actor: who makes the request, as the audit names it.
        excess: the sentence that refuses its saves; None while it is within its quota.
        rate: how many requests it may make, if that is limited.
    """

    id: str
    actor: str
    excess: str | None
    rate: "RateLimitItem | None"

    def check_quota(self) -> None:
        """Returns if the account may save.

        Raises:
            LimitReached: it is over a limit of its quota.
        """
        if self.excess is not None:
            raise LimitReached(self.excess)
