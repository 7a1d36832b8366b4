"""The blueprint that v1's views are registered on, and what their documentation shares."""

from ccs_server.api.blueprint import Blueprint
from ccs_server.api.openapi import (
    ACCOUNT_SCHEMA,
    NAME_IN_PATH_SCHEMA,
    NAMESPACE_SCHEMA,
    SESSION_IN_PATH_SCHEMA,
    path_parameter,
)
from ccs_server.api.v1.auth import check_key

blueprint = Blueprint(
    "v1", __name__, url_prefix="/v1/account", description="Properties, namespaces and sessions."
)
blueprint.before_request(check_key)

ACCOUNT = path_parameter("account", ACCOUNT_SCHEMA, "demo", "The account that the key belongs to.")
NAMESPACE = path_parameter("namespace", NAMESPACE_SCHEMA, "myNamespace", "The namespace.")
SESSION = path_parameter(
    "session", SESSION_IN_PATH_SCHEMA, "mySession", "The session; `__default__` for none."
)
NAME = path_parameter(
    "name", NAME_IN_PATH_SCHEMA, "myProperty1", "The property; slashes are part of its name."
)
