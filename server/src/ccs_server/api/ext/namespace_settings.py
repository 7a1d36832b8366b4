"""The settings of a namespace (docs/extension.md, "Settings")."""

from flask import Response
from msgspec import UNSET
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import change_schemas as schemas
from ccs_server.api.ext.blueprint import ACCOUNT, NAMESPACE, settings_blueprint
from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.api.services import actor, database
from ccs_server.domain.access import Scope
from ccs_server.domain.errors import InvalidInput, NotFound
from ccs_server.domain.limits import MAX_INDEX_NAMES, MAX_KEEP_CHANGES_SECONDS
from ccs_server.domain.names import check_namespace, check_properties
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import read_json
from ccs_server.http.responses import json_response
from ccs_server.store.namespace_settings import (
    NamespaceSettings,
    change_settings,
    read_settings,
)

_settings = Decoder(schemas.SettingsBody)


@settings_blueprint.route("/<account>/namespaces/<namespace>", parameters=[ACCOUNT, NAMESPACE])
class Settings(Resource):
    """What is switched on in a namespace."""

    @settings_blueprint.doc(**schemas.read_settings_docs())
    def get(self, account: str, namespace: str) -> Response:
        """Get the settings of a namespace.

        Needs the scope `admin`.
        """
        _check(namespace)
        found = read_settings(database(), account, namespace)
        if found is None:
            raise NotFound("There is no such namespace; a change of its settings creates it.")
        return _response(found)

    @settings_blueprint.doc(**schemas.change_settings_docs())
    def patch(self, account: str, namespace: str) -> Response:
        """Change settings of a namespace, which is created if it does not exist.

        Needs the scope `admin`. Every write that begins after the response is logged as the settings say. A job
        fills the index.
        """
        _check(namespace)
        given = read_json(_settings, wrapping=1)
        keep = given.keepChanges
        changed = change_settings(
            database(),
            account,
            namespace,
            changes=None if given.changes is UNSET else given.changes,
            keep_changes=None
            if keep is UNSET
            else check_whole(keep, 1, MAX_KEEP_CHANGES_SECONDS, "keepChanges"),
            index=None if given.index is UNSET else _names(given.index),
            sort_by_update=None if given.sortByUpdate is UNSET else given.sortByUpdate,
            by=actor(),
        )
        return _response(changed)


def _check(namespace: str) -> None:
    current_account().access.require(Scope.ADMIN)
    check_namespace(namespace)
    check_no_parameters()


def _names(names: list[str]) -> list[str]:
    if len(names) > MAX_INDEX_NAMES:
        raise InvalidInput(f"At most {MAX_INDEX_NAMES} names can be indexed.", "index")
    check_properties(names, "index")
    return names


def _response(settings: NamespaceSettings) -> Response:
    response = schemas.SettingsResponse(
        settings.changes,
        settings.keep_changes,
        settings.index,
        settings.sort_by_update,
        "ready" if settings.is_ready else "building",
    )
    return json_response(encode(response))
