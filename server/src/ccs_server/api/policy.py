"""What admission has to know of a request before the application handles it: its account, and its kind.

This is no access control: the blueprints check credentials themselves.
"""

from wsgiref.types import WSGIEnvironment

from flask import Flask

from ccs_server.api.keys import look_up
from ccs_server.api.services import Services, digest_of
from ccs_server.api.tokens import bearer_token, look_up_bearer, token_in_query
from ccs_server.domain.errors import ContextError

_LISTINGS = tuple(
    name + slash
    for name in ("/session-ids", "/session-properties", "/session")
    for slash in ("", "/")
)
_EXTENSION = "/ext/"
_LONG = {
    "GET": ("/activity", "/activity/", "/export", "/export/"),
    "POST": ("/find", "/find/", "/import", "/import/"),
}
"""By method: how the paths of those requests of the extension end that take long."""

_KEY_FIRST = "/v1/"


class RequestPolicy:
    """The policy of one app; `serving.dispatcher.Policy` says what its methods mean."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app = app
        self._services = services

    def account_of(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        key, token = _credentials(environ)
        known, account = self._services, None
        if key:
            account = known.accounts_of_keys.get(digest_of(environ, key))
        elif token:
            digest = digest_of(environ, token)
            account = known.tenants_of_tokens.get(digest)
            account = account or known.accounts_of_session_tokens.get(digest)
        return account.id if account else None

    def identify(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        key, token = _credentials(environ)
        try:
            with self._app.app_context():
                if key:
                    return look_up(key).id
                return look_up_bearer(token).id if token else None
        except ContextError:
            return None

    def turn_of(self, environ: WSGIEnvironment) -> str:  # noqa: D102
        key, token = _credentials(environ)
        known, account = self._services, None
        if key:
            account = known.accounts_of_keys.get_expired(digest_of(environ, key))
        elif token:
            digest = digest_of(environ, token)
            account = known.tenants_of_tokens.get_expired(digest)
            account = account or known.accounts_of_session_tokens.get_expired(digest)
        # No account's name has a space.
        return account.id if account else f"address {environ['REMOTE_ADDR']}"

    @staticmethod
    def is_listing(environ: WSGIEnvironment) -> bool:  # noqa: D102
        path: str = environ["PATH_INFO"]
        if path.startswith(_EXTENSION):
            return path.endswith(_LONG.get(environ["REQUEST_METHOD"], ()))
        return path.endswith(_LISTINGS) and environ["REQUEST_METHOD"] == "GET"


def _credentials(environ: WSGIEnvironment) -> tuple[str | None, str | None]:
    """The key or the token that the application will look at, if there are both: v1 prefers the key."""
    key = environ.get("HTTP_MAVEN_API_KEY")
    if key and environ["PATH_INFO"].startswith(_KEY_FIRST):
        return key, None
    token = bearer_token(environ) or token_in_query(environ)
    return (None, token) if token else (key, None)
