"""What a request of the change log asks for, as far as its credential allows it, and what it gets."""

from collections.abc import Sequence
from typing import NamedTuple

from ccs_server.api.accounts import current_request
from ccs_server.api.ext import change_schemas as schemas
from ccs_server.api.ext.queries import read_repeated_parameters
from ccs_server.api.services import database
from ccs_server.api.tokens import ACCESS_TOKEN
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.change_log import Position, cursor_of, read_cursor
from ccs_server.domain.errors import Gone, InvalidInput
from ccs_server.domain.limits import MAX_CHANGE_FILTERS, MAX_PER_PAGE, PER_PAGE
from ccs_server.domain.names import check_namespace, check_property, check_session
from ccs_server.store.changes import NEWEST, Filter, Page, is_known, read_changes, read_heads

START, NOW = "start", "now"

_ORDERS = {"asc": False, "desc": True}

_PARAMETERS = {
    "ns": MAX_CHANGE_FILTERS,
    "type": MAX_CHANGE_FILTERS,
    **dict.fromkeys(("session", "name", "after", "limit", "order", ACCESS_TOKEN), 1),
}
"""How often each parameter may be given."""

FORGOTTEN = "The log no longer has all that follows this cursor; read what there is now, and go on from a new cursor."


class Query(NamedTuple):
    """What a request of the log asks for.

    Attributes:
        wanted: which events.
        after: where to begin: a cursor, `start` or `now`.
        limit: the maximum number of events.
        backward: whether the newest come first.
    """

    wanted: Filter
    after: str
    limit: int
    backward: bool


def end_of_log(account: str) -> str:
    """The cursor of the end of the account's log."""
    end = read_heads(database(), [account]).get(account, Position(0, 0))
    return cursor_of(account, end)


def read_page(account: str, query: Query) -> Page:
    """Reads a page of the log.

    Raises:
        InvalidInput: `after` is not a cursor of the account.
        Gone: the log has forgotten what follows it.
    """
    begin = NEWEST if query.backward or query.after == NOW else 0
    position = None
    if query.after not in {START, NOW}:
        position = read_cursor(account, query.after)
        begin = position.number
    page = read_changes(
        database(), account, query.wanted, after=begin, limit=query.limit, backward=query.backward
    )
    if position is not None and not is_known(position, page, backward=query.backward):
        raise Gone(FORGOTTEN)
    return page


def read_stream_query(access: Access) -> Query:
    """As `read_query`, of a request for an event stream, which by default begins now.

    A client that connects again says in a header where it was.
    """
    query = read_query(access, without=("limit", "order"))
    last = current_request().environ.get("HTTP_LAST_EVENT_ID")
    given = "after=" in current_request().environ["QUERY_STRING"]
    return query._replace(after=last or (query.after if given else NOW))


def read_query(access: Access, without: Sequence[str] = ()) -> Query:
    """The query of the current request, as far as the credential allows it, without some of the parameters.

    Raises:
        Forbidden: it asks for what the credential may not see.
        InvalidInput: a parameter breaks a rule.
    """
    access.require(Scope.READ)
    given = read_repeated_parameters(
        {name: most for name, most in _PARAMETERS.items() if name not in without}
    )
    backward = _ORDERS.get(_one(given, "order") or "asc")
    if backward is None:
        raise InvalidInput("order must be 'asc' or 'desc'.", "order")
    types = given.get("type")
    if types is not None and not set(types) <= set(schemas.TYPES):
        raise InvalidInput(f"type must be one of {', '.join(schemas.TYPES)}.", "type")
    after = _one(given, "after")
    return Query(
        _filter(given, access)._replace(types=types),
        START if after is None else after,
        _limit(_one(given, "limit")),
        backward,
    )


def _one(given: dict[str, list[str]], name: str) -> str | None:
    return given[name][0] if name in given else None


def _limit(text: str | None) -> int:
    if text is None:
        return PER_PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PER_PAGE))):
        raise _bad_limit()
    limit = int(text)
    if limit > MAX_PER_PAGE:
        raise _bad_limit()
    return limit


def _bad_limit() -> InvalidInput:
    return InvalidInput(f"limit must be a whole number from 0 to {MAX_PER_PAGE}.", "limit")


def _filter(given: dict[str, list[str]], access: Access) -> Filter:
    namespaces = given.get("ns")
    for namespace in namespaces or ():
        check_namespace(namespace, "ns")
    session, name = _one(given, "session"), _one(given, "name")
    limit = access.session
    if limit is not None:
        # What a session token leaves out is what it is limited to.
        namespaces = namespaces or [limit.namespace]
        session = limit.session_id if session is None else session
    if session is not None:
        check_session(session, "session")
        if namespaces is None or len(set(namespaces)) != 1:
            raise InvalidInput("session needs one ns.", "ns")
    if name is not None:
        check_property(name, "name")
        if session is None:
            raise InvalidInput("name needs a session.", "session")
    names = None if name is None else frozenset({name})
    for namespace in namespaces or ():
        if limit is None:
            access.require_namespace(namespace)
        else:
            access.require_document(namespace, session or "", names or ())
    if limit is not None and names is None:
        names = limit.names
    return Filter(namespaces, session, names, allowed=access.namespaces)
