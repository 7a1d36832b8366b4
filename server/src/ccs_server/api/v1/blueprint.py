"""The blueprint that v1's views are registered on, and what their documentation shares."""

from ccs_server.api.openapi import (
    ACCOUNT_SCHEMA,
    NAME_IN_PATH_SCHEMA,
    NAMESPACE_SCHEMA,
    SESSION_IN_PATH_SCHEMA,
    path_parameter,
)
from ccs_server.api.v1.auth import check_key
from ccs_server.domain.names import RESERVED_SESSIONS
from ccs_server.http.blueprint import Blueprint
from ccs_server.http.routing import ClashingConverter

ALIASES = {"/v1/brand/": "/v1/account/"}
"""Beginnings of paths that are read as other ones (contract, section 3)."""

blueprint = Blueprint(
    "v1",
    __name__,
    url_prefix="/v1/account",
    description="Properties, namespaces and sessions. GET needs a key of the scope `read`, the rest one of `write`.",
)
blueprint.before_request(check_key)


class SessionConverter(ClashingConverter):
    """A session: after a namespace, these words are other routes'."""

    clashes = RESERVED_SESSIONS


class NamespaceOfSessionsConverter(ClashingConverter):
    """The namespace in `/namespace/{ns}/session`.

    `/namespace/properties/session` is the property `session` of the namespace `namespace`: the first segment
    `properties` after the namespace ends the address (contract, section 1).
    """

    clashes = frozenset({"properties"})


CONVERTERS = {
    "session": SessionConverter,
    "namespace_of_sessions": NamespaceOfSessionsConverter,
}

ACCOUNT = path_parameter("account", ACCOUNT_SCHEMA, "demo", "The account that the key belongs to.")
NAMESPACE = path_parameter("namespace", NAMESPACE_SCHEMA, "myNamespace", "The namespace.")
SESSION = path_parameter(
    "session", SESSION_IN_PATH_SCHEMA, "mySession", "The session; `__default__` for none."
)
NAME = path_parameter(
    "name", NAME_IN_PATH_SCHEMA, "myProperty1", "The property; slashes are part of its name."
)
