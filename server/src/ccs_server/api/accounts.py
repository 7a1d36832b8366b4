"""The account that a request is made for, and what its quota allows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ccs_server.domain.access import ALL_DATA, Access
from ccs_server.domain.errors import LimitReached
from ccs_server.http import body
from ccs_server.http.requests import LazyRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from limits import RateLimitItem


@dataclass(frozen=True, slots=True)
class Account:
    """An account as its credential was found; kept for `CCS_CREDENTIAL_CACHE` seconds.

    Attributes:
        id: its accountId.
        actor: who makes the request, as the audit names it.
        excess: the sentence that refuses its saves; None while it is within its quota.
        rate: how many requests it may make, if that is limited.
        access: what the credential may do.
    """

    id: str
    actor: str
    excess: str | None
    rate: "RateLimitItem | None"
    access: Access = ALL_DATA

    def check_quota(self) -> None:
        """Returns if the account may save.

        Raises:
            LimitReached: it is over a limit of its quota.
        """
        if self.excess is not None:
            raise LimitReached(self.excess)


class AccountRequest(LazyRequest):
    """A request for an account.

    Attributes:
        account: the account, once the request's credential has been checked.
    """

    account: Account


current_request = cast("Callable[[], AccountRequest]", body.current_request)
"""The request at hand."""


def current_account() -> Account:
    """The account of the request at hand."""
    return current_request().account
