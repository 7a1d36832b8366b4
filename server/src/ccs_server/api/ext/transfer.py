"""Export and import (docs/extension.md, "Export and import")."""

import re

from flask import Response
from msgspec.json import encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import transfer_schemas as schemas
from ccs_server.api.ext.blueprint import ACCOUNT, transfer_blueprint
from ccs_server.api.ext.change_queries import end_of_log
from ccs_server.api.ext.lines import read_cursor, read_lines, write_page
from ccs_server.api.ext.queries import read_parameters
from ccs_server.api.services import actor, database
from ccs_server.domain.access import Scope
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import EXPORT_LINES, MAX_EXPORT_LINES
from ccs_server.domain.names import check_namespace, check_session
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import NDJSON, read_body
from ccs_server.http.responses import json_response, ndjson_response
from ccs_server.store.exporting import Export, export_page
from ccs_server.store.importing import Import, import_all

_is_number = re.compile("[0-9]{1,9}").fullmatch


@transfer_blueprint.route("/<account>/export", parameters=[ACCOUNT])
class Exports(Resource):
    """All that the account stores."""

    @transfer_blueprint.doc(**schemas.export_docs())
    def get(self, account: str) -> Response:
        """Export properties and times to live.

        Needs the scope `read`. A limited key exports its namespaces. Only the line `{"end": true}` is the end: a page
        may be short or empty, and one that was cut off has neither `next` nor `end`.
        """
        access = current_account().access
        access.require(Scope.READ)
        access.require_account()
        given = read_parameters("ns", "session", "after", "limit")
        namespace, session_id = given.get("ns"), given.get("session")
        if namespace is not None:
            access.require_namespace(check_namespace(namespace, "ns"))
        if session_id is not None:
            check_session(session_id, "session")
            if namespace is None:
                raise InvalidInput("A session needs its ns beside it.", "ns")
        wanted = Export(account, access.namespaces, namespace, session_id)
        after = read_cursor(given["after"], wanted) if "after" in given else None
        limit = _limit(given.get("limit"))
        # Before the page is read, so that nothing is missing from both.
        position = end_of_log(account) if after is None else None
        page = export_page(database(), wanted, after=after, limit=limit)
        response = ndjson_response(write_page(page, wanted))
        if position is not None:
            response.headers[schemas.POSITION] = position
        return response


@transfer_blueprint.route("/<account>/import", parameters=[ACCOUNT])
class Imports(Resource):
    """What is to be stored in the account."""

    @transfer_blueprint.doc(**schemas.import_docs())
    def post(self, account: str) -> Response:
        """Import lines of an export.

        Needs the scope `write`. All lines are imported or, if one is refused, none; the error's member `line` is its
        number. Repeating an import is harmless.
        """
        current = current_account()
        current.access.require(Scope.WRITE)
        current.access.require_account()
        mode = read_parameters("mode").get("mode", schemas.OVERWRITE)
        if mode not in {schemas.OVERWRITE, schemas.KEEP}:
            raise InvalidInput("mode must be overwrite or keep.", "mode")
        given = Import(account, keep=mode == schemas.KEEP)
        read_lines(read_body(NDJSON), given, current.access.require_namespace)
        if given.properties:
            current.check_quota()
        imported = import_all(database(), given, actor())
        return json_response(encode(schemas.ImportResponse(imported.saved, imported.skipped)))


def _limit(given: str | None) -> int:
    if given is None:
        return EXPORT_LINES
    if not _is_number(given) or not 1 <= int(given) <= MAX_EXPORT_LINES:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_EXPORT_LINES}.", "limit")
    return int(given)
