"""Authentication of the extension: a token, or a key, of the account in the path (docs/extension.md, section 0)."""

from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

from flask import Response, after_this_request

from ccs_server.api.accounts import Account, current_request
from ccs_server.api.keys import FORBIDDEN, HEADER, look_up
from ccs_server.api.services import digest_of, services
from ccs_server.api.tokens import (
    ACCESS_TOKEN,
    bearer_token,
    is_session_token,
    known_bearer,
    look_up_bearer,
    look_up_session,
    token_in_query,
)
from ccs_server.domain.credentials import hash_secret
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.http.exchanges import ACCOUNT
from ccs_server.http.headers import rate_headers


def check_credential() -> None:
    """Checks that the request has a credential of the account in its path. Views check its rights.

    Raises:
        Unauthenticated: there is none, or a token that is not valid.
        Forbidden: the credential is unknown, revoked or of another account.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    _check(_account_of(current_request().environ))


def check_credential_of_changes() -> None:
    """As `check_credential`; a session token may also be the parameter `access_token`, for clients without headers."""
    environ = current_request().environ
    token = token_in_query(environ)
    if token is None or bearer_token(environ) or environ.get("HTTP_MAVEN_API_KEY"):
        check_credential()
    elif is_session_token(token):
        _check(known_bearer(environ, token) or look_up_session(token))
    else:
        raise Unauthenticated(
            f"{ACCESS_TOKEN} must be a session token; send other credentials in a header.", "Bearer"
        )


def credential_check(environ: WSGIEnvironment) -> Callable[[], None]:
    """Returns a check whether the credential of a request, which was valid, still is.

    The check asks the database at most every `CCS_CREDENTIAL_CACHE` seconds for all requests with the credential. It
    raises a ContextError if the credential has ended, or cannot be checked now.
    """
    key: str = environ.get("HTTP_MAVEN_API_KEY", "")
    token = bearer_token(environ) or (None if key else token_in_query(environ))

    def check() -> None:
        known = services()
        digest = hash_secret(token or key)
        if token is None:
            if known.accounts_of_keys.get(digest) is None:
                look_up(key)
        elif not known.tenants_of_tokens.get(digest) and not known.accounts_of_session_tokens.get(
            digest
        ):
            look_up_bearer(token)

    return check


def _check(account: Account) -> None:
    """Makes the account that of the request.

    Raises:
        Forbidden: it is another one than that in the path.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    request = current_request()
    asked = (request.view_args or {}).get("account", "")
    if account.id != asked:
        check_account(asked)
        raise Forbidden(FORBIDDEN)
    request.account = account
    request.environ[ACCOUNT] = asked
    if account.rate:
        rates = services().rates
        rates.count(asked, account.rate)
        standing = rates.standing(asked, account.rate)
        if standing is not None:
            headers = rate_headers(standing)

            @after_this_request
            def tell_rate(response: Response) -> Response:
                response.headers.extend(headers)
                return response


def _account_of(environ: WSGIEnvironment) -> Account:
    token = bearer_token(environ)
    if token is not None:
        return known_bearer(environ, token) or look_up_bearer(token)
    key = environ.get("HTTP_MAVEN_API_KEY")
    if not key:
        raise Unauthenticated(
            f"Send a key of the account in the header {HEADER}, or a token as Authorization: Bearer.",
            "Bearer",
        )
    return services().accounts_of_keys.get(digest_of(environ, key)) or look_up(key)
