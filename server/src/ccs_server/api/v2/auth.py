"""Authentication of v2: a token of the account that the call names."""

from flask import Request

from ccs_server.api.accounts import current_account, current_request
from ccs_server.api.services import digest_of, services
from ccs_server.api.tokens import bearer_token, tenant_of
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.http.exchanges import ACCOUNT


def check_token() -> None:
    """Checks that the request has a valid token, and that it is of the account in the path, if there is one.

    Raises:
        Unauthenticated: there is no token, or it is malformed, expired, badly signed, or its user revoked.
        Forbidden: the token is of another account.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    request = current_request()
    token = _token(request)
    digest = digest_of(request.environ, token)
    known = services()
    tenants = known.tenants_of_tokens
    request.account = tenants.get(digest) or tenants.put(digest, tenant_of(token))
    request.environ[ACCOUNT] = request.account.id
    if request.view_args and "account" in request.view_args:
        check_tenant(request.view_args["account"])
    if request.account.rate:
        known.rates.count(request.account.id, request.account.rate)


def check_tenant(account: str) -> str:
    """Returns the account if it is the token's.

    Raises:
        InvalidInput: it is no account id.
        Forbidden: it is another one.
    """
    if account != current_account().id:
        check_account(account)
        raise Forbidden("The token is of another account; log in as a user of this one.")
    return account


def _token(request: Request) -> str:
    token = bearer_token(request.environ)
    if token:
        return token
    token = request.args.get("access_token", "")
    if not token:
        raise Unauthenticated(
            "Send a token as Authorization: Bearer or ?access_token=; the login gives one.",
            "Bearer",
        )
    return token
