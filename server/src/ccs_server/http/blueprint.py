"""Validation of queries and small bodies by marshmallow. Invalid input is a 400; webargs alone would respond 422."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import flask_smorest
from flask import Response
from flask.views import MethodView
from flask_smorest.utils import deepupdate
from marshmallow import Schema
from msgspec import MsgspecError
from msgspec.json import decode
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug import Request
from werkzeug.datastructures import MultiDict

from ccs_server.domain.errors import InvalidInput
from ccs_server.http.body import MALFORMED, current_request, read_body

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
            return decode(read_body())
        except (MsgspecError, UnicodeDecodeError, RecursionError):
            raise InvalidInput(MALFORMED, "body") from None

    def load_querystring(self, req: Request, schema: Schema) -> MultiDictProxy:
        """The query, as werkzeug reads it; its `args` would initialize the request for that (http/requests.py)."""
        text = req.environ["QUERY_STRING"].encode("latin-1").decode()
        query = parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")
        return MultiDictProxy(MultiDict(query), schema)


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's Blueprint with that parser, and with documentation that costs a request nothing."""

    ARGUMENTS_PARSER = Parser()

    def arguments(self, schema: type[Schema], **options: Any) -> Callable[[View], View]:  # noqa: ANN401
        """As flask-smorest's, with one instance of the schema: making one takes longer than using it."""
        decorate: Callable[[View], View] = super().arguments(schema(), **options)
        return decorate

    @staticmethod
    def doc(**documentation: object) -> Callable[[View], View]:
        """As flask-smorest's, but the view stays itself instead of being wrapped in another call."""

        def document(view: View) -> View:
            about = view.__dict__.setdefault("_apidoc", {})
            about["manual_doc"] = deepupdate(about.get("manual_doc", {}), documentation)
            return view

        return document


class Resource(MethodView):
    """A resource: a method for each of its HTTP methods. One instance serves all requests."""

    init_every_request = False

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> Callable[..., Any]:  # noqa: ANN401
        """As Flask's, with the method looked up once and not at each request."""
        described = super().as_view(name, *class_args, **class_kwargs)
        if cls.decorators:
            return described
        resource = cls(*class_args, **class_kwargs)
        views: dict[str, Callable[..., Response]] = {
            method: getattr(resource, method.lower()) for method in cls.methods or ()
        }
        if "GET" in views:
            views["HEAD"] = views["GET"]

        @wraps(described)
        def view(**arguments: str) -> Response:
            return views[current_request().environ["REQUEST_METHOD"]](**arguments)

        # For `Application`, which knows the method. A decorator's copy of this attribute must not count as its own.
        view.by_method = view, views  # type: ignore[attr-defined]
        return view
