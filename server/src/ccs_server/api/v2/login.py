"""The login of v2."""

from typing import Any

from flask import Response, request
from msgspec.json import encode
from werkzeug.datastructures import Authorization

from ccs_server.api import openapi as docs
from ccs_server.api.services import database, services
from ccs_server.api.tokens import issue_token, signing_keys
from ccs_server.api.v2.blueprint import keys_blueprint, login_blueprint
from ccs_server.api.v2.schemas import Token
from ccs_server.domain.credentials import is_secret
from ccs_server.domain.errors import Unauthenticated
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response
from ccs_server.store.credentials import find_credential, use_credential


def _docs(operation_id: str) -> docs.Doc:
    return {
        "operationId": operation_id,
        "security": [{"basic": []}],
        "responses": docs.response("A token.", Token) | docs.errors(401),
    }


@login_blueprint.route("/login")
class Login(Resource):
    """User name and password in, token out."""

    @login_blueprint.doc(**_docs("login"))
    def post(self) -> Response:
        """Log in."""
        return _log_in()

    @login_blueprint.doc(**_docs("loginByGet"))
    def get(self) -> Response:
        """Log in, by GET."""
        return _log_in()


@keys_blueprint.route("/jwks.json")
class Keys(Resource):
    """The public keys that verify tokens."""

    @keys_blueprint.doc(
        operationId="getSigningKeys",
        security=[],
        responses=docs.response("A JSON Web Key Set (RFC 7517).", dict[str, Any]) | docs.errors(),
    )
    def get(self) -> Response:
        """Get the public keys that verify tokens."""
        return json_response(encode(signing_keys().jwks))


def _authorization() -> Authorization | None:
    try:
        return request.authorization
    except ValueError:
        # Werkzeug does not expect bytes that are no ASCII in what should be Base64.
        return None


def _log_in() -> Response:
    given = _authorization()
    username = (given.username or "") if given and given.type == "basic" else ""
    password = (given.password or "") if given and given.type == "basic" else ""
    found = find_credential(database(), username)
    if found is None or not is_secret(password, found.hash):
        raise Unauthenticated(
            "Send a valid user name and password of the account by HTTP Basic.", 'Basic realm="ccs"'
        )
    use_credential(database(), found)
    token = issue_token(username, found.account)
    lifetime = services().settings.token_lifetime
    return json_response(encode(Token(token, token, "Bearer", lifetime)))
