"""Which database a read uses: the primary, or a standby if the client says that this is enough for it."""

from flask import Response, after_this_request

from ccs_server.api.accounts import current_request
from ccs_server.api.services import services
from ccs_server.domain.errors import InvalidInput
from ccs_server.store.database import Database

_EVENTUAL = "eventual"

CONSISTENCY = {
    "name": "Ccs-Consistency",
    "in": "header",
    "schema": {"type": "string", "enum": [_EVENTUAL], "examples": [_EVENTUAL]},
    "description": "With `eventual`, a standby may respond, which may not have the last saves yet.",
}
"""The documentation of the header."""


def reads() -> Database:
    """The database for the current request, which reads.

    Raises:
        InvalidInput: the header Ccs-Consistency has another value than `eventual`.
    """
    known = services()
    asked = current_request().environ.get("HTTP_CCS_CONSISTENCY")
    if asked is None:
        return known.database
    if asked != _EVENTUAL:
        raise InvalidInput(f"Ccs-Consistency must be '{_EVENTUAL}'.", "Ccs-Consistency")
    standby = known.standby

    def name_source(response: Response) -> Response:
        source = "standby" if standby is not None and standby.answered else "primary"
        response.headers["Ccs-Source"] = source
        return response

    after_this_request(name_source)
    return known.database if standby is None else standby
