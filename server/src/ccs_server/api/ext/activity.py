"""What an account has, what is done with it, and what is about to expire (docs/extension.md, "Activity")."""

from flask import Response
from msgspec import UNSET, Raw
from msgspec.json import encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext.activity_schemas import ActivityResponse, NamespaceActivity, activity_docs
from ccs_server.api.ext.blueprint import ACCOUNT, activity_blueprint
from ccs_server.api.ext.queries import read_parameters
from ccs_server.api.services import database
from ccs_server.domain.access import Scope
from ccs_server.domain.cursors import new_cursor, position_of
from ccs_server.domain.limits import PER_PAGE
from ccs_server.domain.names import check_namespace
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response
from ccs_server.store.activity import read_overview


@activity_blueprint.route("/<account>/activity", parameters=[ACCOUNT])
class ActivityOverview(Resource):
    """What an account has and does."""

    @activity_blueprint.doc(**activity_docs())
    def get(self, account: str) -> Response:
        """Get the activity of an account.

        Needs the scope `read`. A key that is limited to namespaces gets what is known of these. A request looks at a
        limited number of properties; a count that they do not suffice for is `estimated`.
        """
        access = current_account().access
        access.require(Scope.READ)
        access.require_account()
        after = read_parameters("after").get("after")
        query = ("activity", account)
        begin = "" if after is None else check_namespace(position_of(after, query), "after")
        found = read_overview(
            database(), account, allowed=access.namespaces, after=begin, limit=PER_PAGE
        )
        is_last = len(found.namespaces) < PER_PAGE
        response = ActivityResponse(
            found.time,
            [NamespaceActivity(*each) for each in found.namespaces],
            found.expiries,
            next=UNSET if is_last else new_cursor(query, found.namespaces[-1].name),
        )
        if access.namespaces is None:
            response.minutes = Raw(found.minutes)
            response.properties = found.properties
            response.sessions = found.sessions
        return json_response(encode(response))
