"""Finding sessions (docs/extension.md, "Find sessions")."""

from flask import Response
from msgspec import UNSET, Raw
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.consistency import reads
from ccs_server.api.ext import find_schemas as schemas
from ccs_server.api.ext.blueprint import ACCOUNT, NAMESPACE, find_blueprint
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.domain.access import Scope
from ccs_server.domain.cursors import new_cursor, position_of
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import MAX_PER_PAGE
from ccs_server.domain.names import (
    check_namespace,
    check_properties,
    check_property,
    check_session,
    check_session_prefix,
)
from ccs_server.domain.where import read_where
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import read_json
from ccs_server.http.responses import json_response
from ccs_server.store.find import Place, Search, find_by_update, find_sessions

_find = Decoder(schemas.FindBody)


@find_blueprint.route("/<account>/namespaces/<namespace>/find", parameters=[ACCOUNT, NAMESPACE])
class Find(Resource):
    """The sessions of a namespace, by what is stored in them."""

    @find_blueprint.doc(**schemas.find_docs())
    def post(self, account: str, namespace: str) -> Response:
        """Find sessions.

        Needs the scope `read`. A page may be short or empty although more follow; only a response without `next` is the
        last one.
        """
        access = current_account().access
        access.require(Scope.READ)
        access.require_namespace(check_namespace(namespace))
        check_no_parameters()
        given = read_json(_find, wrapping=1)
        search = _search(account, namespace, given)
        query = ("find", account, namespace, search.where.text, search.prefix, given.sort)
        after = "" if given.after is UNSET else position_of(given.after, query)
        place = _place(after, given.sort)
        if not given.limit and not given.count:
            # Nothing was looked at, so the next page begins where this one does.
            return _page(schemas.FindResponse(Raw(b"[]"), next=new_cursor(query, after)))
        if isinstance(place, str):
            found = find_sessions(reads(), search, after=place, limit=int(given.limit))
        else:
            found = find_by_update(reads(), search, after=place, limit=int(given.limit))
        return _page(
            schemas.FindResponse(
                Raw(found.sessions),
                next=UNSET if found.last is None else new_cursor(query, found.last),
                count=found.matched if given.count else UNSET,
            )
        )


def _place(position: str, sort: str) -> str | Place:
    """Where to begin: after a session id, or at a place in the order by update."""
    if sort == schemas.BY_SESSION_ID:
        return check_session(position, "after") if position else ""
    try:
        place = Place.read(position) if position else Place()
    except ValueError:
        raise InvalidInput("after must be the next of an earlier response.", "after") from None
    if position:
        check_session(place.session_id, "after")
        check_property(place.name, "after")
    return place


def _search(account: str, namespace: str, given: schemas.FindBody) -> Search:
    """Returns what to find.

    Raises:
        InvalidInput: a member of the body breaks a rule.
    """
    if given.sort not in {schemas.BY_SESSION_ID, schemas.BY_UPDATE}:
        raise InvalidInput("There is no such order; sort by 'sessionId' or '-updatedAt'.", "sort")
    if not 0 <= given.limit <= MAX_PER_PAGE or given.limit != int(given.limit):
        raise InvalidInput(f"limit must be a whole number from 0 to {MAX_PER_PAGE}.", "limit")
    if given.count and given.limit:
        raise InvalidInput("A count returns no sessions; send it with limit 0.", "count")
    if isinstance(given.fields, list):
        check_properties(given.fields, "fields")
    where = read_where({name: bytes(text) for name, text in given.where.items()})
    prefix = check_session_prefix(given.sessionPrefix)
    return Search(account, namespace, where, prefix, given.fields)


def _page(page: schemas.FindResponse) -> Response:
    return json_response(encode(page))
