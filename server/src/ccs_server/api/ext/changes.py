"""The change log, as pages of JSON and as event streams (docs/extension.md, "Changes")."""

from wsgiref.types import WSGIEnvironment

from flask import Response
from msgspec import Raw
from msgspec.json import encode

from ccs_server.api.accounts import current_account, current_request
from ccs_server.api.ext import change_schemas as schemas
from ccs_server.api.ext.auth import credential_check
from ccs_server.api.ext.blueprint import ACCOUNT, changes_blueprint
from ccs_server.api.ext.change_queries import read_page, read_query, read_stream_query
from ccs_server.api.ext.streams import Stream, streams
from ccs_server.domain.change_log import Position, cursor_of
from ccs_server.domain.errors import ENDING, InvalidInput, Unavailable
from ccs_server.http.blueprint import Resource
from ccs_server.http.draining import DRAINING
from ccs_server.http.responses import EventStreamResponse, json_response
from ccs_server.http.streaming import can_stream, stream
from ccs_server.store.changes import event_json

EVENT_STREAM = "text/event-stream"


@changes_blueprint.route("/<account>/changes", parameters=[ACCOUNT])
class Changes(Resource):
    """The changes of an account's properties."""

    @changes_blueprint.doc(**schemas.changes_docs())
    def get(self, account: str) -> Response:
        """Read changes, or the history of a property.

        Needs the scope `read`. A page may be short or empty although more follow; go on with `next`. A key that is
        limited to namespaces sees only their changes, and a session token only those of its session.

        With `Accept: text/event-stream` the response is a stream of Server-Sent Events. It begins after `Last-Event-ID`
        or `after`, by default now, and takes neither `limit` nor `order`.
        """
        environ = current_request().environ
        if environ["REQUEST_METHOD"] == "GET" and EVENT_STREAM in environ.get("HTTP_ACCEPT", ""):
            return _open_stream(account, environ)
        query = read_query(current_account().access)
        page = read_page(account, query)
        events = b",".join(event_json(account, page.epoch, event) for event in page.events)
        response = schemas.ChangesResponse(Raw(b"[" + events + b"]"))
        if page.next is not None:
            response.next = cursor_of(account, Position(page.epoch, page.next))
        return json_response(encode(response))


def _open_stream(account: str, environ: WSGIEnvironment) -> Response:
    """Begins an event stream.

    Raises:
        Unavailable: the worker has as many streams as it may have, or ends.
        Gone: the log has forgotten what follows the client's position.
    """
    if not can_stream(environ):
        raise InvalidInput(
            "There are no event streams here; read pages, or run the service with 'ccs serve'.",
            "Accept",
        )
    if DRAINING in environ:
        raise Unavailable(ENDING)
    feed = streams()
    feed.check_room()
    query = read_stream_query(current_account().access)._replace(limit=0)
    # Without events, it tells whether the position is known, and which one `now` is.
    page = read_page(account, query)
    position, check = Position(page.epoch, page.next or 0), credential_check(environ)
    stream(environ, lambda sink: feed.add(Stream(account, query.wanted, position, check, sink)))
    return EventStreamResponse()
