"""Rows 1–3 of the contract: the namespaces of an account."""

from typing import Any

from flask import Response

from ccs_server.api import openapi as docs
from ccs_server.api.accounts import current_account
from ccs_server.api.consistency import CONSISTENCY, reads
from ccs_server.api.services import actor, database
from ccs_server.api.v1.blueprint import ACCOUNT, NAMESPACE, blueprint
from ccs_server.api.v1.schemas import NamespaceBody, NamespaceResponse, TtlQuery
from ccs_server.domain.names import check_namespace
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response, no_content
from ccs_server.store import namespaces


@blueprint.route("/<account>", parameters=[ACCOUNT])
class Namespaces(Resource):
    """The namespaces of an account."""

    @blueprint.doc(
        operationId="registerNamespace",
        responses=docs.NO_CONTENT | docs.errors(400, 401, 403, 409, 413, 415),
    )
    @blueprint.arguments(TtlQuery, location="query")
    @blueprint.arguments(NamespaceBody)
    def post(self, query: dict[str, Any], body: dict[str, Any], account: str) -> Response:
        """Register a namespace, or set its time to live.

        A namespace needs no registration to be used. Registering one that exists is harmless.
        """
        namespace = check_namespace(body["name"], "name")
        current_account().access.require_namespace(namespace)
        namespaces.register_namespace(database(), account, namespace, query["ttlSecond"])
        return no_content()

    @blueprint.doc(
        operationId="listNamespaces",
        parameters=[CONSISTENCY],
        responses=docs.errors(400, 401, 403),
    )
    @blueprint.response(200, NamespaceResponse(many=True))
    def get(self, account: str) -> Response:
        """List the namespaces of an account.

        Those that the key may use.
        """
        allowed = current_account().access.namespaces
        return json_response(namespaces.list_namespaces(reads(), account, allowed))


@blueprint.route("/<account>/<namespace>", parameters=[ACCOUNT, NAMESPACE])
class Namespace(Resource):
    """A namespace as a whole."""

    @blueprint.doc(
        operationId="deleteNamespace", responses=docs.NO_CONTENT | docs.errors(400, 401, 403)
    )
    def delete(self, account: str, namespace: str) -> Response:
        """Delete a namespace.

        Its properties, all its sessions' properties and every time to live in it are gone at once.
        """
        namespaces.delete_namespace(database(), account, check_namespace(namespace), actor())
        return no_content()
