"""Authentication of v1: a key of the account in the path, or a session token."""

from wsgiref.types import WSGIEnvironment

from ccs_server.api.accounts import Account, current_request
from ccs_server.api.keys import FORBIDDEN, HEADER, look_up
from ccs_server.api.services import digest_of, services
from ccs_server.api.tokens import bearer_token, is_session_token, look_up_session
from ccs_server.api.v1.access import check_row
from ccs_server.domain.access import ALL_DATA
from ccs_server.domain.errors import Forbidden, Unauthenticated
from ccs_server.domain.names import check_account
from ccs_server.http.exchanges import ACCOUNT


def check_key() -> None:
    """Checks that the request's credential is one of the account in its path, and has the rights that its row needs.

    Raises:
        Unauthenticated: there is no key, and no valid session token as Authorization: Bearer.
        Forbidden: the key is unknown, revoked or of another account, or lacks a right.
        InvalidInput: the account in the path is no account id.
        TooManyRequests: the account is over its rate.
    """
    request = current_request()
    key = request.environ.get("HTTP_MAVEN_API_KEY")
    known = services()
    if key:
        account = known.accounts_of_keys.get(digest_of(request.environ, key)) or look_up(key)
    else:
        account = _account_of_bearer(request.environ)
    asked = (request.view_args or {}).get("account", "")
    if account.id != asked:
        check_account(asked)
        raise Forbidden(FORBIDDEN)
    request.account = account
    request.environ[ACCOUNT] = asked
    if account.rate:
        known.rates.count(asked, account.rate)
    if account.access is not ALL_DATA:
        check_row(request, account.access)


def _account_of_bearer(environ: WSGIEnvironment) -> Account:
    token = bearer_token(environ)
    # Tokens of v2 are no credentials here, so they count as none.
    if token is None or not is_session_token(token):
        raise Unauthenticated(f"Send a key of the account in the header {HEADER}.")
    known = services().accounts_of_session_tokens
    return known.get(digest_of(environ, token)) or look_up_session(token)
