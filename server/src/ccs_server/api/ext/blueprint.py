"""The blueprints that the extension's views are registered on, and what their documentation shares."""

from collections.abc import Callable

from ccs_server.api.ext.auth import check_credential, check_credential_of_changes
from ccs_server.api.openapi import ACCOUNT_SCHEMA, NAMESPACE_SCHEMA, path_parameter
from ccs_server.http.blueprint import Blueprint


def _blueprint(
    name: str, description: str, check: Callable[[], None] = check_credential
) -> Blueprint:
    blueprint = Blueprint(name, __name__, url_prefix="/ext/v1", description=description)
    blueprint.before_request(check)
    return blueprint


operations_blueprint = _blueprint(
    "ext operations",
    "Many operations in one request; conditional and partial changes, leases. Conditions, fences and times to live are "
    "also headers of v1's operations.",
)
find_blueprint = _blueprint("ext find", "Sessions by what is stored in them.")
transfer_blueprint = _blueprint(
    "ext export and import", "All that an account stores, or a part of it, as lines of JSON."
)
settings_blueprint = _blueprint("ext settings", "What is switched on in a namespace.")
changes_blueprint = _blueprint(
    "ext changes", "What changes, as it changes, and what has changed.", check_credential_of_changes
)
webhooks_blueprint = _blueprint("ext webhooks", "Where changes are delivered as they happen.")
jobs_blueprint = _blueprint(
    "ext jobs", "Erasing what is stored of somebody, and deleting many sessions."
)
activity_blueprint = _blueprint(
    "ext activity", "What an account has, what is done with it, and what is about to expire."
)
keys_blueprint = _blueprint(
    "ext keys and tokens", "Keys with fewer rights, and tokens for one session."
)

ACCOUNT = path_parameter(
    "account", ACCOUNT_SCHEMA, "demo", "The account that the credential belongs to."
)
NAMESPACE = path_parameter("namespace", NAMESPACE_SCHEMA, "myNamespace", "The namespace.")
