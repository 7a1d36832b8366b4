"""Rows 16–20 of the contract: listing sessions, and their times to live."""

from typing import Any, TypedDict

from flask import Response

from ccs_server.api import conditions
from ccs_server.api import openapi as docs
from ccs_server.api.accounts import current_account, current_request
from ccs_server.api.conditions import read_write_options
from ccs_server.api.consistency import CONSISTENCY, reads
from ccs_server.api.services import actor, database
from ccs_server.api.v1.blueprint import ACCOUNT, NAMESPACE, SESSION, blueprint
from ccs_server.api.v1.schemas import (
    OptionalPageQuery,
    PageQuery,
    SessionBody,
    SessionPropertiesResponse,
    SessionTtlResponse,
    TtlQuery,
)
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import PER_PAGE
from ccs_server.domain.names import DEFAULT_SESSION, check_namespace, check_session
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response, no_content
from ccs_server.store import sessions
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.run import run
from ccs_server.store.operations.writes import Delete


@blueprint.route("/<account>/<namespace>/session-ids", parameters=[ACCOUNT, NAMESPACE])
class SessionIds(Resource):
    """The ids of the sessions of a namespace."""

    @blueprint.doc(
        operationId="listSessionIds",
        parameters=[CONSISTENCY],
        responses=docs.response(
            "The ids, in code point order.",
            list[str],
            ids=["__default__", "mySession"],
        )
        | docs.errors(400, 401, 403),
    )
    @blueprint.arguments(PageQuery, location="query")
    def get(self, query: dict[str, Any], account: str, namespace: str) -> Response:
        """List the sessions that have properties."""
        page = sessions.list_session_ids(
            reads(), account, check_namespace(namespace), **_page(query)
        )
        return json_response(page)


@blueprint.route("/<account>/<namespace>/session-properties", parameters=[ACCOUNT, NAMESPACE])
class SessionsWithProperties(Resource):
    """The sessions of a namespace with their properties."""

    @blueprint.doc(
        operationId="listSessionProperties",
        parameters=[CONSISTENCY],
        responses=docs.errors(400, 401, 403, 413),
    )
    @blueprint.response(200, SessionPropertiesResponse(many=True))
    @blueprint.arguments(PageQuery, location="query")
    def get(self, query: dict[str, Any], account: str, namespace: str) -> Response:
        """List the sessions with their properties."""
        page = sessions.list_session_properties(
            reads(), account, check_namespace(namespace), **_page(query)
        )
        return json_response(page)


@blueprint.route(
    "/<account>/namespace/<namespace_of_sessions:namespace>/session",
    parameters=[ACCOUNT, NAMESPACE],
)
class SessionTtls(Resource):
    """The times to live that are set on sessions of a namespace."""

    @blueprint.doc(
        operationId="setSessionTtl",
        responses=docs.NO_CONTENT | docs.errors(400, 401, 403, 409, 413, 415),
    )
    @blueprint.arguments(TtlQuery, location="query")
    @blueprint.arguments(SessionBody)
    def post(
        self, query: dict[str, Any], body: dict[str, Any], account: str, namespace: str
    ) -> Response:
        """Set a session's time to live.

        It goes before the namespace's, an explicit 0 too, and counts from the next write of each property.
        """
        session = check_session(body["sessionId"])
        if session == DEFAULT_SESSION:
            raise InvalidInput(
                f"{DEFAULT_SESSION} means no session; set it on the namespace.", "sessionId"
            )
        document = DocumentKey(account, check_namespace(namespace), session)
        current_account().check_quota()
        sessions.set_session_ttl(database(), document, query["ttlSecond"])
        return no_content()

    @blueprint.doc(
        operationId="listSessionTtls",
        parameters=[CONSISTENCY],
        responses=docs.errors(400, 401, 403, 413),
    )
    @blueprint.response(200, SessionTtlResponse(many=True))
    @blueprint.arguments(OptionalPageQuery, location="query")
    def get(self, query: dict[str, Any], account: str, namespace: str) -> Response:
        """List the sessions that have a time to live set.

        All of them, or those of one page.
        """
        check_namespace(namespace)
        if all(query[name] is None for name in ("page", "perPage", "after")):
            return json_response(sessions.list_session_ttls(reads(), account, namespace))
        found = sessions.list_session_ttls_page(reads(), account, namespace, **_page(query))
        return json_response(found)


@blueprint.route(
    "/<account>/namespace/<namespace_of_sessions:namespace>/session/<session>",
    parameters=[ACCOUNT, NAMESPACE, SESSION],
)
class Session(Resource):
    """A session as a whole."""

    @blueprint.doc(
        operationId="deleteSession",
        parameters=[*conditions.PARAMETERS, conditions.FENCE],
        responses=docs.NO_CONTENT | docs.errors(400, 401, 403, 412),
    )
    def delete(self, account: str, namespace: str, session: str) -> Response:
        """Delete a session.

        Its properties and its time to live are gone at once.
        """
        document = DocumentKey(account, check_namespace(namespace), check_session(session))
        options = read_write_options(current_request().environ, takes_ttl=False)
        if options:
            deletion = Delete(
                document=document,
                with_ttl=True,
                conditions=options.conditions,
                fence=options.fence,
            )
            run(database(), deletion, actor())
        else:
            sessions.delete_session(database(), document, actor())
        return no_content()


class _Page(TypedDict):
    page: int
    per_page: int
    after: str | None


def _page(query: dict[str, Any]) -> _Page:
    """The page that a query asks for.

    Raises:
        InvalidInput: `after` is no session id.
    """
    after = query["after"]
    if after is not None:
        check_session(after, "after")
    return {"page": query["page"] or 0, "per_page": query["perPage"] or PER_PAGE, "after": after}
