"""The objects that views need: one of each for an application, found through it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from wsgiref.types import WSGIEnvironment

from flask import Flask, current_app

from ccs_server.api.accounts import Account, current_account
from ccs_server.api.activity import Activity
from ccs_server.api.rates import RateLimiter
from ccs_server.domain.access import Access
from ccs_server.domain.credentials import hash_secret
from ccs_server.domain.ttl_cache import TTLCache
from ccs_server.settings import Settings
from ccs_server.store.credentials import StoredSecret
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import SigningKeys
from ccs_server.store.standby import StandbyDatabase

_NAME = "ccs"
_DIGEST = "ccs.credential_digest"

# Not through Flask's proxy, as in `current_request`.
_proxy: Any = current_app
_current_app: Callable[[], Flask] = _proxy._get_current_object  # noqa: SLF001


@dataclass(frozen=True)
class Services:
    """The settings, database, caches, rates and counts of an application.

    Attributes:
        standby: where clients may read that ask for no more than eventual consistency.
        accounts_of_keys: by what is valid in the header maven-api-key: keys and session tokens.
        tenants_of_tokens: by v2's tokens.
        accounts_of_session_tokens: by session tokens that came as Authorization: Bearer, where a key is not valid.
    """

    settings: Settings
    database: Database
    standby: StandbyDatabase | None
    accounts_of_keys: TTLCache[Account]
    tenants_of_tokens: TTLCache[Account]
    accounts_of_session_tokens: TTLCache[Account]
    signing_keys: TTLCache[SigningKeys]
    rates: RateLimiter
    activity: Activity

    @classmethod
    def of(cls, settings: Settings, database: Database) -> Self:
        """The services of a new app."""
        seconds = settings.credential_cache
        url = settings.standby_url
        return cls(
            settings,
            database,
            StandbyDatabase(url, settings, database) if url else None,
            TTLCache(seconds),
            TTLCache(seconds),
            TTLCache(seconds),
            TTLCache(seconds),
            rates=RateLimiter.of(settings),
            activity=Activity(database),
        )

    def account_of(self, found: StoredSecret, access: Access | None = None) -> Account:
        """The account of a credential that was found, with what its quota allows now.

        Args:
            found: the credential.
            access: the rights of a session token of the credential; by default, those of the credential.
        """
        quota = found.quota
        return Account(
            found.account,
            found.actor,
            quota.excess() if quota else None,
            self.rates.rate_of(quota.requests if quota else None),
            access or found.access,
        )

    def attach_to(self, app: Flask) -> None:
        """Makes these the services of `app`."""
        app.extensions[_NAME] = self


def services() -> Services:
    """The services of the app that handles the current request."""
    return services_of(_current_app())


def services_of(app: Flask) -> Services:
    """The services of an app."""
    found: Services = app.extensions[_NAME]
    return found


def database() -> Database:
    """The database of the app that handles the current request."""
    return services().database


def digest_of(environ: WSGIEnvironment, secret: str) -> bytes:
    """The hash by which caches know a credential of the request. It is computed once for each request."""
    known: tuple[str, bytes] | None = environ.get(_DIGEST)
    # A request may have two credentials, which must not be confused.
    if known is None or known[0] != secret:
        known = environ[_DIGEST] = secret, hash_secret(secret)
    return known[1]


def actor() -> str:
    """The credential of the current request, as the audit names it."""
    return current_account().actor
