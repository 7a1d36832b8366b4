"""The docs page: Swagger UI, from files that ship with its package, and the OpenAPI document that it shows."""

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, redirect, send_from_directory
from flask.typing import ResponseReturnValue
from msgspec.json import encode

from ccs_server.http.responses import json_response

_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conversation Context Service</title>
<link rel="icon" type="image/png" href="/docs/swagger-ui/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

PAGES = "/docs"
"""The beginning of the paths of pages."""

blueprint = Blueprint("docs", __name__)


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Leads to the docs page."""
    return redirect("/docs")


@blueprint.get("/docs")
def page() -> Response:
    """Swagger UI."""
    return Response(_PAGE, mimetype="text/html")


@blueprint.get("/docs/start.js")
def start() -> Response:
    """What opens our document in Swagger UI: a file, because the page's policy allows no script in it."""
    return Response(_START, mimetype="text/javascript")


@blueprint.get("/docs/swagger-ui/<path:file>")
def swagger_ui(file: str) -> Response:
    """Swagger UI's own files."""
    return send_from_directory(_SWAGGER_UI, file, max_age=86_400)


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    """The OpenAPI document."""
    return json_response(encode(current_app.extensions["openapi"]))
