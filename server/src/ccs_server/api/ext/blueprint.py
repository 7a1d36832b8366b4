"""The blueprint that the extension's views are registered on, and what their documentation shares."""

from ccs_server.api.ext.auth import check_credential
from ccs_server.api.openapi import ACCOUNT_SCHEMA, NAMESPACE_SCHEMA, path_parameter
from ccs_server.http.blueprint import Blueprint

blueprint = Blueprint("ext", __name__, url_prefix="/ext/v1", description="Beyond v1 and v2.")
blueprint.before_request(check_credential)

ACCOUNT = path_parameter(
    "account", ACCOUNT_SCHEMA, "demo", "The account that the credential belongs to."
)
NAMESPACE = path_parameter("namespace", NAMESPACE_SCHEMA, "myNamespace", "The namespace.")
