"""Tokens: JSON Web Tokens, signed with Ed25519, that name a user and the account (`tenantId`)."""

from time import time

import jwt
from jwt.types import Options

from ccs_server.api.accounts import Account
from ccs_server.api.services import database, services
from ccs_server.domain.errors import Unauthenticated
from ccs_server.store.credentials import find_credential
from ccs_server.store.signing_keys import ALGORITHM, SigningKeys, load_signing_keys

_MEMORY_KEY = b"signing keys"

# `iat` is not compared with our clock: that of the instance which gave the token may be ahead, if by a second only.
_OPTIONS = Options(require=["sub", "iat", "exp", "tenantId"], verify_iat=False)


def issue_token(username: str, account: str) -> str:
    """A token that is valid from now on for the configured lifetime."""
    key = signing_keys().newest
    now = int(time())
    claims = {
        "sub": username,
        "tenantId": account,
        "iat": now,
        "exp": now + services().settings.token_lifetime,
    }
    return jwt.encode(claims, key.private_key, ALGORITHM, headers={"kid": key.key_id})


def tenant_of(token: str) -> Account:
    """The account that a token is of.

    Raises:
        Unauthenticated: it is malformed, expired, not signed by a key of ours, or its user has been revoked.
    """
    try:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        # Another process may have signed with a key that was made since this one looked.
        key = signing_keys().find(key_id) or _loaded_signing_keys().find(key_id)
        if key is None:
            raise _refused("not signed by a key of this service")
        claims = jwt.decode(token, key.public_key, [ALGORITHM], options=_OPTIONS)
    except jwt.ExpiredSignatureError:
        raise _refused("expired") from None
    except jwt.InvalidTokenError:
        raise _refused("malformed or badly signed") from None
    found = find_credential(database(), claims["sub"])
    if found is None or found.account != claims["tenantId"]:
        raise _refused("of a user that has been revoked")
    return services().account_of(found)


def signing_keys() -> SigningKeys:
    """The keys in force, as they were at most a few seconds ago."""
    return services().signing_keys.get(_MEMORY_KEY) or _loaded_signing_keys()


def _loaded_signing_keys() -> SigningKeys:
    loaded = load_signing_keys(database(), services().settings.token_lifetime)
    return services().signing_keys.put(_MEMORY_KEY, loaded)


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(f"The token is {reason}; log in again.", "Bearer")
