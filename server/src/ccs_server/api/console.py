"""The console: a page that shows what an account stores (docs/console.md). Its files ship with this package."""

from pathlib import Path

from flask import Blueprint, Response

from ccs_server.api.accounts import current_request
from ccs_server.domain.errors import NotFound

_STATIC = Path(__file__).parents[1] / "console" / "static"

# Not guessed: what the system's table says would differ from machine to machine.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FILES = {
    path.relative_to(_STATIC).as_posix(): path
    for path in _STATIC.rglob("*")
    if path.suffix in _TYPES
}

PAGES = "/console"
"""The beginning of the paths of the console."""

blueprint = Blueprint("console", __name__)


@blueprint.get("/console")
def page() -> Response:
    """The page."""
    return _response("index.html")


@blueprint.get("/console/<path:file>")
def asset(file: str) -> Response:
    """A script, a style sheet or an image of the page."""
    return _response(file)


def _response(name: str) -> Response:
    path = _FILES.get(name)
    if path is None:
        raise NotFound("The console has no such file; its page is /console.")
    response = Response(path.read_bytes(), mimetype=_TYPES[path.suffix])
    # Browsers ask each time: the files change with a release, and not one by one.
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(current_request())
    return response
