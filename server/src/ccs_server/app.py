"""The WSGI application: wiring only."""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask

from ccs_server.api import console, docs, ext, health, openapi, v1, v2
from ccs_server.api.accounts import AccountRequest
from ccs_server.api.activity import Activity, counting
from ccs_server.api.policy import RequestPolicy
from ccs_server.api.service_metrics import ServiceMetrics
from ccs_server.api.services import Services, services_of
from ccs_server.http import access_log, log, metrics, tracing
from ccs_server.http.application import Application
from ccs_server.http.errors import Api, register_error_handlers
from ccs_server.http.exchanges import Consumer, Exchanges, Recorded
from ccs_server.http.headers import PAGE_HEADERS, STRICT_PAGE_HEADERS, CrossOrigin
from ccs_server.http.statements import Statements, TracedStatements
from ccs_server.settings import SettingError, Settings
from ccs_server.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication


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
    app = Application("ccs_server", url_limit=settings.url_limit, aliases=v1.ALIASES)
    app.request_class = AccountRequest
    app.url_map.converters.update(v1.CONVERTERS)
    app.config.update(
        API_TITLE="Conversation Context Service",
        API_VERSION=version("ccs-server"),
        OPENAPI_VERSION="3.1.0",
    )
    sampler = tracing.sampler_of(os.environ)
    statements = Statements() if sampler is None else TracedStatements()
    database = Database(settings.database_url, settings, observe=statements.add)
    services = Services.of(settings, database)
    services.attach_to(app)
    ext.Streams(app)
    register_error_handlers(app)
    api = Api(app, spec_kwargs=openapi.OPTIONS)
    openapi.describe(api.spec)
    for blueprint in (
        v1.blueprint,
        v2.login_blueprint,
        v2.keys_blueprint,
        v2.blueprint,
        *ext.BLUEPRINTS,
    ):
        api.register_blueprint(blueprint)
    pages = {docs.PAGES: PAGE_HEADERS}
    if settings.console:
        pages[console.PAGES] = STRICT_PAGE_HEADERS
        app.register_blueprint(console.blueprint)
    for plain in (docs.blueprint, health.blueprint):
        app.register_blueprint(plain)
    app.extensions["openapi"] = openapi.with_security(api.spec.to_dict())
    # Routes that clash are an error now, not at the first request.
    app.route_table()
    exchanges = _exchanges(
        settings,
        statements,
        services.activity,
        counting(services.activity, app.url_map),
        is_traced=sampler is not None,
    )
    wsgi_app: WSGIApplication = Recorded(app.wsgi_app, exchanges, pages=pages)
    if sampler is not None:
        wsgi_app = tracing.Traced(wsgi_app, sampler)
    if settings.cors_origins:
        wsgi_app = CrossOrigin(wsgi_app, settings.cors_origins)
    # Flask's way to put something around an application.
    app.wsgi_app = wsgi_app  # type: ignore[method-assign,assignment]
    return app


def _exchanges(
    settings: Settings,
    statements: Statements,
    activity: Activity,
    count_activity: Consumer,
    *,
    is_traced: bool,
) -> Exchanges:
    consumers: list[Consumer] = [metrics.count, statements.count, count_activity]
    if settings.access_log:
        # `ccs serve` has set up logging; another server may leave that to its applications.
        if not access_log.logger.hasHandlers():
            access_log.logger.addHandler(log.stderr_handler())
        consumers.append(access_log.write)
    if not is_traced:
        return Exchanges(*consumers, at_end=activity.end)
    # Imported here because its packages are optional.
    from ccs_server.http import otlp  # noqa: PLC0415

    sender = otlp.sender_of(os.environ, version("ccs-server"))

    def end() -> None:
        activity.end()
        sender.end()

    return Exchanges(*consumers, otlp.Spans(sender).record, at_end=end)


def create_service(
    settings: Settings,
) -> "tuple[WSGIApplication, RequestPolicy, Callable[[], None]]":
    """The application with the policy that `serving` asks before it, and what updates its metrics."""
    app = create_app(settings)
    services = services_of(app)
    service_metrics = ServiceMetrics(services, ext.Streams.of(app).count)
    return app.wsgi_app, RequestPolicy(app, services), service_metrics.update
