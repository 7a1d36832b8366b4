"""Who may use v1: whoever holds a key of the account in the path."""

from hashlib import sha256

from ccs_server.api.body import current_request
from ccs_server.api.services import ACTOR, services
from ccs_server.domain.credentials import is_secret, key_id_of
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.store.credentials import StoredSecret, find_key, use_key

HEADER = "maven-api-key"
_FORBIDDEN = "The key is unknown, revoked or of another account; use a valid key of this account."


def check_key() -> None:
    """Lets the request pass if its key is one of the account in its path.

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
    digest = sha256(key.encode(errors="surrogatepass")).digest()
    known = services()
    found = known.known_keys.get(digest) or _look_up(key, digest)
    asked = (request.view_args or {}).get("account", "")
    if found.account != asked:
        check_account(asked)
        raise Forbidden(_FORBIDDEN)
    request.environ[ACTOR] = found.actor
    if known.rates:
        known.rates.count(asked)


def _look_up(key: str, digest: bytes) -> StoredSecret:
    key_id = key_id_of(key)
    found = find_key(services().database, key_id) if key_id else None
    if not found or not is_secret(key, found.hash):
        raise Forbidden(_FORBIDDEN)
    use_key(services().database, found)
    return services().known_keys.put(digest, found)
