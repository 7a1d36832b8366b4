"""Authentication of the extension: a token, or a key, of the account in the path (docs/extension.md, section 0)."""

from wsgiref.types import WSGIEnvironment

from flask import Response, after_this_request

from ccs_server.api.accounts import Account, current_request
from ccs_server.api.keys import FORBIDDEN, HEADER, look_up
from ccs_server.api.services import digest_of, services
from ccs_server.api.tokens import bearer_token, known_bearer, look_up_bearer
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.http.headers import rate_headers


def check_credential() -> None:
    """Checks that the request has a credential of the account in its path. Views check its rights.

    Raises:
        Unauthenticated: there is none, or a token that is not valid.
        Forbidden: the credential is unknown, revoked or of another account.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    request = current_request()
    account = _account_of(request.environ)
    asked = (request.view_args or {}).get("account", "")
    if account.id != asked:
        check_account(asked)
        raise Forbidden(FORBIDDEN)
    request.account = account
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
