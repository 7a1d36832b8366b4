"""Tokens: JSON Web Tokens, signed with Ed25519.

Those of v2 name a user and the account (`tenantId`). Session tokens name the key or user that made them, and the one
session that they reach (extension, section 6). Neither is taken for the other: their audiences differ.
"""

from math import floor
from time import time
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

import jwt
from jwt.types import Options
from msgspec import Struct, ValidationError, convert, field
from msgspec.json import encode

from ccs_server.api.accounts import Account, current_account
from ccs_server.api.services import database, digest_of, services
from ccs_server.domain.access import Access, Scope, SessionLimit
from ccs_server.domain.credentials import hash_secret
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.limits import MAX_SESSION_TOKEN_SECONDS
from ccs_server.store.credentials import find_credential, find_holder
from ccs_server.store.signing_keys import ALGORITHM, SigningKeys, load_signing_keys

ACCESS_TOKEN = "access_token"  # noqa: S105 - the parameter's name

_MEMORY_KEY = b"signing keys"

_SESSION: Literal["ccs-session"] = "ccs-session"
"""The audience of session tokens. Those of v2 have none."""

# `iat` is not compared with our clock: that of the instance which gave the token may be ahead, if by a second only.
_OPTIONS = Options(require=["sub", "iat", "exp", "tenantId"], verify_iat=False)

# The database's clock decides when a session token ends.
_SESSION_OPTIONS = Options(verify_iat=False, verify_exp=False)

_jws = jwt.PyJWS()


class _SessionClaims(Struct, omit_defaults=True):
    """The claims of a session token; `sub` is the key or user that made it, as the audit names it."""

    sub: str
    tenant_id: str = field(name="tenantId")
    aud: Literal["ccs-session"]
    iat: int
    exp: float
    ns: str
    session: str
    scope: Literal["read", "write"]
    names: list[str] | None = None


class SessionToken(NamedTuple):
    """A new session token, and when it ends, in seconds since the epoch."""

    token: str
    expires_at: float


def token_in_query(environ: WSGIEnvironment) -> str | None:
    """The token in the request's URL; None if there is none."""
    query: str = environ["QUERY_STRING"]
    return parse_qs(query).get(ACCESS_TOKEN, [None])[0] if ACCESS_TOKEN in query else None


def bearer_token(environ: WSGIEnvironment) -> str | None:
    """The token in the header Authorization; None if there is none."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


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


def issue_session_token(
    limit: SessionLimit, scope: Literal["read", "write"], seconds: int
) -> SessionToken:
    """A token of the current request's credential that is valid for so many seconds, or until the credential ends.

    Raises:
        Forbidden: the credential has just ended.
    """
    account = current_account()
    holder = find_holder(database(), account.actor)
    if holder is None:
        raise Forbidden("The credential has ended; use a valid one of this account.")
    # In milliseconds, as times are everywhere on the wire.
    expires_at = floor(min(holder.database_time + seconds, holder.expires_at) * 1000) / 1000
    claims = _SessionClaims(
        sub=account.actor,
        tenant_id=account.id,
        aud=_SESSION,
        iat=int(holder.database_time),
        exp=expires_at,
        ns=limit.namespace,
        session=limit.session_id,
        scope=scope,
        names=sorted(limit.names) if limit.names is not None else None,
    )
    key = signing_keys().newest
    # PyJWT would escape the characters of names, and a token of many names would be too long for a header.
    token = _jws.encode(encode(claims), key.private_key, ALGORITHM, headers={"kid": key.key_id})
    return SessionToken(token, expires_at)


def tenant_of(token: str) -> Account:
    """The account that a token of v2 is of.

    Raises:
        Unauthenticated: it is malformed, expired, not signed by a key of ours, or its user has been revoked.
    """
    claims = _verified(token, "log in again", _OPTIONS)
    found = find_credential(database(), claims["sub"])
    if found is None or found.account != claims["tenantId"]:
        raise _refused("of a user that has been revoked", "log in again")
    return services().account_of(found)


def is_session_token(text: str) -> bool:
    """Whether a text that may be anything says that it is a session token. Whether it is a valid one is not checked."""
    if text.count(".") != 2:  # noqa: PLR2004 - header, claims and signature (RFC 7515)
        return False
    try:
        claims = jwt.decode(text, options=Options(verify_signature=False))
    except jwt.InvalidTokenError:
        return False
    return claims.get("aud") == _SESSION


def find_session(token: str) -> tuple[Account, float]:
    """The account that a session token is of, and until when it is, by this process's monotonic clock.

    Raises:
        Unauthenticated: it is malformed, expired, not signed by a key of ours, or the key that made it has ended.
    """
    what_to_do = "get another one"
    verified = _verified(token, what_to_do, _SESSION_OPTIONS, audience=_SESSION)
    try:
        claims = convert(verified, _SessionClaims)
    except ValidationError:
        raise _refused("malformed or badly signed", what_to_do) from None
    found = find_holder(database(), claims.sub)
    if found is None or found.account != claims.tenant_id:
        raise _refused("of a key that has ended", what_to_do)
    if claims.exp <= found.database_time:
        raise _refused("expired", what_to_do)
    names = frozenset(claims.names) if claims.names is not None else None
    access = Access(
        Scope(claims.scope), (claims.ns,), SessionLimit(claims.ns, claims.session, names)
    )
    until = min(found.valid_until, found.local_time(claims.exp))
    return services().account_of(found, access), until


def look_up_session(token: str) -> Account:
    """The account of a session token that came as Authorization: Bearer, from the database.

    Raises:
        Unauthenticated: it is not valid.
    """
    known = services()
    return known.accounts_of_session_tokens.put(hash_secret(token), *find_session(token))


def look_up_bearer(token: str) -> Account:
    """The account of a token of either kind that came as Authorization: Bearer, from the database.

    Raises:
        Unauthenticated: it is not valid.
    """
    if is_session_token(token):
        return look_up_session(token)
    return services().tenants_of_tokens.put(hash_secret(token), tenant_of(token))


def known_bearer(environ: WSGIEnvironment, token: str) -> Account | None:
    """The account of a token of either kind that was found valid a moment ago."""
    known, digest = services(), digest_of(environ, token)
    return known.tenants_of_tokens.get(digest) or known.accounts_of_session_tokens.get(digest)


def signing_keys() -> SigningKeys:
    """The keys in force, as they were at most a few seconds ago."""
    return services().signing_keys.get(_MEMORY_KEY) or _loaded_signing_keys()


def _verified(
    token: str, what_to_do: str, options: Options, audience: str | None = None
) -> dict[str, Any]:
    """The claims of a token that a key of ours has signed."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        # Another process may have signed with a key that was made since this one looked.
        key = signing_keys().find(key_id) or _loaded_signing_keys().find(key_id)
        if key is None:
            raise _refused("not signed by a key of this service", what_to_do)
        claims: dict[str, Any] = jwt.decode(
            token, key.public_key, [ALGORITHM], options=options, audience=audience
        )
    except jwt.ExpiredSignatureError:
        raise _refused("expired", what_to_do) from None
    except jwt.InvalidAudienceError:
        raise _refused("for another use", what_to_do) from None
    except jwt.InvalidTokenError:
        raise _refused("malformed or badly signed", what_to_do) from None
    return claims


def _loaded_signing_keys() -> SigningKeys:
    longest = max(services().settings.token_lifetime, MAX_SESSION_TOKEN_SECONDS)
    return services().signing_keys.put(_MEMORY_KEY, load_signing_keys(database(), longest))


def _refused(reason: str, what_to_do: str) -> Unauthenticated:
    return Unauthenticated(f"The token is {reason}; {what_to_do}.", "Bearer")
