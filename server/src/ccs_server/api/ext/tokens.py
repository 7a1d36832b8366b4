"""Session tokens: what a page or a widget holds instead of a key (docs/extension.md, section 6)."""

from datetime import UTC, datetime

from flask import Response
from msgspec import UNSET
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import credential_schemas as schemas
from ccs_server.api.ext import idempotency
from ccs_server.api.ext.blueprint import ACCOUNT, keys_blueprint
from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.api.services import database
from ccs_server.api.tokens import SessionToken, issue_session_token
from ccs_server.domain.access import Scope, SessionLimit
from ccs_server.domain.limits import MAX_SESSION_TOKEN_SECONDS, MIN_SESSION_TOKEN_SECONDS
from ccs_server.domain.names import check_namespace, check_properties, check_session
from ccs_server.domain.times import utc
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import decode_json, read_body, storable
from ccs_server.http.responses import json_response
from ccs_server.store.operations.idempotency import Answer, Once, run_once

_token = Decoder(schemas.TokenBody)


@keys_blueprint.route("/<account>/tokens", parameters=[ACCOUNT])
class Tokens(Resource):
    """The session tokens of an account."""

    @keys_blueprint.doc(**schemas.create_token_docs("createSessionToken"))
    @idempotency.replaying
    def post(self, account: str) -> Response:  # noqa: ARG002 - the credential is of this account
        """Create a session token.

        It reaches one session, or some properties of it, and ends with the credential that made it. That credential
        needs the rights that the token gets: the scope `read` or `write`, and the namespace.
        """
        check_no_parameters()
        access = current_account().access
        access.require_account()
        text = read_body()
        body = decode_json(_token, storable(text, wrapping=1))
        limit = _limit(body)
        seconds = check_whole(
            body.expiresIn, MIN_SESSION_TOKEN_SECONDS, MAX_SESSION_TOKEN_SECONDS, "expiresIn"
        )
        access.require(Scope(body.scope))
        access.require_namespace(limit.namespace)
        request = idempotency.once(text)
        once = Once(request, _stored_answer) if request else None
        made = run_once(database(), once, lambda _: issue_session_token(limit, body.scope, seconds))
        return json_response(_response(made, made.token), 201)


def _stored_answer(made: SessionToken) -> Answer:
    """The answer to a repetition, without the token, which is not stored."""
    return Answer(201, _response(made, token=None))


def _response(made: SessionToken, token: str | None) -> bytes:
    ends = utc(datetime.fromtimestamp(made.expires_at, UTC))
    return encode(schemas.TokenResponse(token, ends))


def _limit(body: schemas.TokenBody) -> SessionLimit:
    names = None
    if body.names is not UNSET:
        check_properties(body.names, field="names")
        names = frozenset(body.names)
    return SessionLimit(
        check_namespace(body.ns, "ns"), check_session(body.session, "session"), names
    )
