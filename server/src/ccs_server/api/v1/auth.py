"""Authentication of v1: a key of the account in the path."""

from ccs_server.api.accounts import Account, current_request
from ccs_server.api.services import digest_of, services
from ccs_server.domain.credentials import hash_secret, is_secret, key_id_of
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.store.credentials import find_key, use_key

HEADER = "maven-api-key"
_FORBIDDEN = "The key is unknown, revoked or of another account; use a valid key of this account."


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
        raise Forbidden(_FORBIDDEN)
    request.account = account
    if account.rate:
        known.rates.count(asked, account.rate)


def look_up(key: str) -> Account:
    """The account that the key is of, from the database.

    Raises:
        Forbidden: the key is unknown or revoked.
        Unavailable: the database cannot be used now.
    """
    known = services()
    key_id = key_id_of(key)
    found = find_key(known.database, key_id) if key_id else None
    if not found or not is_secret(key, found.hash):
        raise Forbidden(_FORBIDDEN)
    use_key(known.database, found)
    return known.accounts_of_keys.put(hash_secret(key), known.account_of(found))
