"""The WSGI application: wiring only."""

from importlib.metadata import version

from flask import Flask

from ccs_server.api import access_log, docs, health, log, metrics, openapi, v1, v2
from ccs_server.api.application import Application
from ccs_server.api.body import MAX_BODY_BYTES
from ccs_server.api.errors import Api, register_error_handlers
from ccs_server.api.exchanges import Exchanges
from ccs_server.api.policy import RequestPolicy
from ccs_server.api.protection import CrossOrigin
from ccs_server.api.services import Services, services_of
from ccs_server.settings import SettingError, Settings
from ccs_server.store.database import Database


def create_app(settings: Settings | None = None) -> Flask:
    """The service over the database that the settings name.

    Any WSGI server can run it. It opens no connection before the first request, so it may be made before a fork.

    Args:
        settings: those of the environment by default; `database_url` must be set.

    Raises:
        SettingError: the environment holds a setting that cannot be used.
    """
    settings = settings or Settings.from_environment()
    if settings.database_url is None:
        raise SettingError(
            "CCS_DATABASE_URL must be set for the WSGI application; or run 'ccs serve'."
        )
    app = Application("ccs_server", _exchanges(settings), url_limit=settings.url_limit)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        API_TITLE="Conversation Context Service",
        API_VERSION=version("ccs-server"),
        OPENAPI_VERSION="3.1.0",
    )
    Services.of(settings, Database(settings.database_url, settings)).attach_to(app)
    register_error_handlers(app)
    api = Api(app, spec_kwargs=openapi.OPTIONS)
    openapi.describe(api.spec)
    for blueprint in (v1.blueprint, v2.login_blueprint, v2.keys_blueprint, v2.blueprint):
        api.register_blueprint(blueprint)
    for plain in (docs.blueprint, health.blueprint):
        app.register_blueprint(plain)
    if settings.cors_origins:
        # Flask's way to put something around an application.
        app.wsgi_app = CrossOrigin(app.wsgi_app, settings.cors_origins)  # type: ignore[method-assign]
    app.extensions["openapi"] = openapi.with_security(api.spec.to_dict())
    return app


def _exchanges(settings: Settings) -> Exchanges:
    if not settings.access_log:
        return Exchanges(metrics.count)
    # `ccs serve` has set up logging; another server may leave that to its applications.
    if not access_log.logger.hasHandlers():
        access_log.logger.addHandler(log.stderr_handler())
    return Exchanges(metrics.count, access_log.write)


def create_service(settings: Settings) -> tuple[Flask, RequestPolicy]:
    """The application with the policy that `serving` asks before it."""
    app = create_app(settings)
    return app, RequestPolicy(app, services_of(app))
