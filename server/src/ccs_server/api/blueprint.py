"""How queries and fixed bodies reach their schemas: every refusal is a 400 (webargs would answer 422)."""

from collections.abc import Callable
from typing import Any, TypeVar

import flask_smorest
from flask_smorest.utils import deepupdate
from marshmallow import Schema
from msgspec import MsgspecError
from msgspec.json import decode
from webargs.flaskparser import FlaskParser
from werkzeug import Request

from ccs_server.api.body import MALFORMED, read_json
from ccs_server.domain.errors import InvalidInput

View = TypeVar("View", bound=Callable[..., Any])


class Parser(FlaskParser):
    """webargs' parser with this service's reading of bodies."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ANN401, ARG002
        """The body as Python objects.

        Raises:
            UnsupportedMediaType: it does not call itself JSON.
            InvalidInput: it is not JSON.
        """
        try:
            return decode(read_json())
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidInput(MALFORMED, "body") from None


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's Blueprint with that parser, and with documentation that costs a request nothing."""

    ARGUMENTS_PARSER = Parser()

    @staticmethod
    def doc(**documentation: object) -> Callable[[View], View]:
        """As flask-smorest's, but the view stays itself instead of being wrapped in another call."""

        def document(view: View) -> View:
            about = view.__dict__.setdefault("_apidoc", {})
            about["manual_doc"] = deepupdate(about.get("manual_doc", {}), documentation)
            return view

        return document
