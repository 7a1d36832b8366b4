"""What admission has to know of a request before the application handles it: its account, and its kind.

This is no access control: the blueprints check credentials themselves.
"""

from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from flask import Flask

from ccs_server.api.keys import look_up
from ccs_server.api.services import Services, digest_of
from ccs_server.api.tokens import tenant_of
from ccs_server.api.v2.auth import bearer_token
from ccs_server.domain.errors import ContextError

_LISTINGS = tuple(
    name + slash
    for name in ("/session-ids", "/session-properties", "/session")
    for slash in ("", "/")
)
_FINDS = ("/find", "/find/")


class RequestPolicy:
    """The policy of one app; `serving.dispatcher.Policy` says what its methods mean."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app = app
        self._services = services

    def account_of(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        key, token = _credentials(environ)
        account = None
        if key:
            account = self._services.accounts_of_keys.get(digest_of(environ, key))
        elif token:
            account = self._services.tenants_of_tokens.get(digest_of(environ, token))
        return account.id if account else None

    def identify(self, environ: WSGIEnvironment) -> str | None:  # noqa: D102
        key, token = _credentials(environ)
        try:
            with self._app.app_context():
                if key:
                    return look_up(key).id
                if not token:
                    return None
                digest = digest_of(environ, token)
                return self._services.tenants_of_tokens.put(digest, tenant_of(token)).id
        except ContextError:
            return None

    def turn_of(self, environ: WSGIEnvironment) -> str:  # noqa: D102
        key, token = _credentials(environ)
        account = None
        if key:
            account = self._services.accounts_of_keys.get_expired(digest_of(environ, key))
        elif token:
            account = self._services.tenants_of_tokens.get_expired(digest_of(environ, token))
        # No account's name has a space.
        return account.id if account else f"address {environ['REMOTE_ADDR']}"

    @staticmethod
    def is_listing(environ: WSGIEnvironment) -> bool:  # noqa: D102
        path: str = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "POST":
            return path.startswith("/ext/") and path.endswith(_FINDS)
        return path.endswith(_LISTINGS) and environ["REQUEST_METHOD"] == "GET"


def _credentials(environ: WSGIEnvironment) -> tuple[str | None, str | None]:
    key = environ.get("HTTP_MAVEN_API_KEY")
    if key:
        return key, None
    if "HTTP_AUTHORIZATION" in environ:
        return None, bearer_token(environ)
    query = environ["QUERY_STRING"]
    if "access_token" in query:
        return None, parse_qs(query).get("access_token", [None])[0]
    return None, None
