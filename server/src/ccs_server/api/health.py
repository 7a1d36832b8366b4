"""Whether the service lives, and whether it can serve: for load balancers and process managers."""

from flask import Blueprint, Response, request

from ccs_server.api.services import database
from ccs_server.domain.errors import Unavailable
from ccs_server.http.draining import DRAINING, ENDING
from ccs_server.store import schema

blueprint = Blueprint("health", __name__)

_OK = b'{"status":"ok"}'


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process lives; it asks nobody else, so an outage of the database restarts no service."""
    return Response(_OK, content_type="application/json")


@blueprint.get("/readyz")
def readyz() -> Response:
    """The database answers and its schema is current.

    Raises:
        Unavailable: it does not, it is not, or the service is about to end.
    """
    if DRAINING in request.environ:
        raise Unavailable(ENDING)
    schema.check(database())
    return Response(_OK, content_type="application/json")
