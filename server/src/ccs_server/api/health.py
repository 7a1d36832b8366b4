"""Liveness and readiness, for load balancers and process managers."""

from flask import Blueprint, Response, request

from ccs_server.api.services import database
from ccs_server.domain.errors import ENDING, Unavailable
from ccs_server.http.draining import DRAINING
from ccs_server.store import schema

blueprint = Blueprint("health", __name__)

_OK = b'{"status":"ok"}'


@blueprint.get("/healthz")
def healthz() -> Response:
    """Responds while the process is alive. The database is not asked, so its outage restarts no service."""
    return Response(_OK, content_type="application/json")


@blueprint.get("/readyz")
def readyz() -> Response:
    """Responds 200 while the database can be used and its schema is current.

    Raises:
        Unavailable: the database or its schema is not ready, or the service drains.
    """
    if DRAINING in request.environ:
        raise Unavailable(ENDING)
    schema.check(database())
    return Response(_OK, content_type="application/json")
