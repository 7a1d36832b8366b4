"""The blueprints that v2's views are registered on, and what their documentation shares."""

from ccs_server.api.openapi import (
    ACCOUNT_SCHEMA,
    NAMESPACE_SCHEMA_V2,
    SESSION_IN_PATH_SCHEMA,
    path_parameter,
)
from ccs_server.api.v2.auth import check_token
from ccs_server.http.blueprint import Blueprint

login_blueprint = Blueprint(
    "v2 login", __name__, url_prefix="/v2/authenticate", description="Tokens for v2."
)

keys_blueprint = Blueprint(
    "v2 keys", __name__, url_prefix="/.well-known", description="What verifies tokens."
)

blueprint = Blueprint(
    "v2",
    __name__,
    url_prefix="/v2/context/document",
    description="Documents: the properties of one namespace and session.",
)
blueprint.before_request(check_token)

ACCOUNT = path_parameter(
    "account", ACCOUNT_SCHEMA, "demo", "The account that the token belongs to."
)
NAMESPACE = path_parameter("namespace", NAMESPACE_SCHEMA_V2, "myNamespace", "The namespace.")
SESSION = path_parameter(
    "session", SESSION_IN_PATH_SCHEMA, "mySession", "The session; `__default__` for none."
)
