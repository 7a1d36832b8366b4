"""What the views need, made once for an app and found through it."""

from dataclasses import dataclass
from typing import Any, Self

from flask import Flask, current_app

from ccs_server.api.body import current_request
from ccs_server.api.memory import ShortMemory
from ccs_server.api.rates import RateLimiter
from ccs_server.settings import Settings
from ccs_server.store.credentials import StoredSecret
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import SigningKeys

_NAME = "ccs"

ACTOR = "ccs.actor"
"""Where the environ of a request that has been authenticated holds who makes it, as the audit names it."""


@dataclass(frozen=True)
class Services:
    """One app's settings, database and memories."""

    settings: Settings
    database: Database
    known_keys: ShortMemory[StoredSecret]
    tenants_of_tokens: ShortMemory[str]
    signing_keys: ShortMemory[SigningKeys]
    rates: RateLimiter | None

    @classmethod
    def of(cls, settings: Settings, database: Database) -> Self:
        """The services of a new app."""
        seconds = settings.credential_cache
        return cls(
            settings,
            database,
            ShortMemory(seconds),
            ShortMemory(seconds),
            ShortMemory(seconds),
            rates=RateLimiter.of(settings),
        )

    def attach_to(self, app: Flask) -> None:
        """Makes these the services of `app`."""
        app.extensions[_NAME] = self


def services() -> Services:
    """The services of the app that handles the current request."""
    # Not through Flask's proxy, as in `current_request`.
    app: Any = current_app
    found: Services = app._get_current_object().extensions[_NAME]  # noqa: SLF001
    return found


def database() -> Database:
    """The database of the app that handles the current request."""
    return services().database


def actor() -> str:
    """Who makes the current request, as the audit names it."""
    name: str = current_request().environ[ACTOR]
    return name
