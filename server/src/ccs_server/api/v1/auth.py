"""Authentication of v1: a key of the account in the path."""

from ccs_server.api.accounts import current_request
from ccs_server.api.keys import FORBIDDEN, HEADER, look_up
from ccs_server.api.services import digest_of, services
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account


def check_key() -> None:
    """Checks that the request's key is one of the account in its path.

    Raises:
        Unauthenticated: there is no key.
        Forbidden: the key is unknown, revoked or of another account.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    request = current_request()
    key = request.environ.get("HTTP_MAVEN_API_KEY")
    if not key:
        raise Unauthenticated(f"Send a key of the account in the header {HEADER}.")
    known = services()
    account = known.accounts_of_keys.get(digest_of(request.environ, key)) or look_up(key)
    asked = (request.view_args or {}).get("account", "")
    if account.id != asked:
        check_account(asked)
        raise Forbidden(FORBIDDEN)
    request.account = account
    if account.rate:
        known.rates.count(asked, account.rate)
