"""Looks up what clients send in the header maven-api-key: keys, and session tokens in the place of a key."""

from ccs_server.api.accounts import Account
from ccs_server.api.services import services
from ccs_server.api.tokens import find_session, is_session_token
from ccs_server.domain.credentials import hash_secret, is_secret, key_id_of
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.store.credentials import find_key, use_key

HEADER = "maven-api-key"
FORBIDDEN = "The key is unknown, revoked or of another account; use a valid key of this account."


def look_up(key: str) -> Account:
    """The account that the key or session token is of, from the database.

    Raises:
        Forbidden: it is unknown, revoked or expired.
        Unavailable: the database cannot be used now.
    """
    known = services()
    if is_session_token(key):
        try:
            session = find_session(key)
        except Unauthenticated as error:
            raise Forbidden(error.message) from None
        return known.accounts_of_keys.put(hash_secret(key), *session)
    key_id = key_id_of(key)
    found = find_key(known.database, key_id) if key_id else None
    if not found or not is_secret(key, found.hash):
        raise Forbidden(FORBIDDEN)
    use_key(known.database, found)
    return known.accounts_of_keys.put(hash_secret(key), known.account_of(found), found.valid_until)
