"""Rows 4–15 of the contract: the properties of a namespace, and of a session in it."""

from typing import Any
from urllib.parse import parse_qs

from flask import Response, request
from werkzeug.datastructures import MIMEAccept

from ccs_server.api import openapi as docs
from ccs_server.api.accounts import current_account, current_request
from ccs_server.api.services import database
from ccs_server.api.types import Properties, Value
from ccs_server.api.v1.blueprint import ACCOUNT, NAME, NAMESPACE, SESSION, blueprint
from ccs_server.api.v1.bodies import read_properties, read_property
from ccs_server.domain.errors import InvalidInput, NotFound
from ccs_server.domain.names import DEFAULT_SESSION, check_namespace, check_property, check_session
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response, no_content, text_response
from ccs_server.store import deleting, reading, saving
from ccs_server.store.document import DocumentKey

_EXAMPLE = {"myProperty1": "myValue1", "myProperty2": {"score": 1.10, "tags": ["a", "b"]}}
_INCLUDE = {
    "name": "include",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Names, separated by commas: only these of the properties.",
    "example": "myProperty1,myProperty2",
}


def _save_all_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "requestBody": docs.body(Properties, properties=_EXAMPLE),
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403, 409, 413, 415),
    }


def _read_all_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "parameters": [_INCLUDE],
        "responses": docs.response("The properties.", Properties, properties=_EXAMPLE)
        | docs.errors(400, 401, 403),
    }


def _save_one_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "requestBody": docs.body(Value, string="myValue1", object={"score": 1.10}),
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403, 409, 413, 415),
    }


def _read_one_docs(operation_id: str) -> dict[str, Any]:
    found = docs.response("The value.", Value, string="myValue1", object={"score": 1.10})
    found["200"]["content"]["text/plain"] = {"schema": {"type": "string"}, "example": "myValue1"}
    return {"operationId": operation_id, "responses": found | docs.errors(400, 401, 403, 404)}


def _delete_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403),
    }


@blueprint.route("/<account>/<namespace>/properties", parameters=[ACCOUNT, NAMESPACE])
class NamespaceProperties(Resource):
    """The properties of a namespace that belong to no session."""

    @blueprint.doc(**_save_all_docs("saveNamespaceProperties"))
    def patch(self, account: str, namespace: str) -> Response:
        """Save properties of a namespace.

        Each member of the body is created or replaced; properties that are left out stay as they are.
        """
        return _save_all(_document(account, namespace))

    @blueprint.doc(**_read_all_docs("getNamespaceProperties"))
    def get(self, account: str, namespace: str) -> Response:
        """Get the properties of a namespace."""
        return _read_all(_document(account, namespace))

    @blueprint.doc(**_delete_docs("deleteNamespaceProperties"))
    def delete(self, account: str, namespace: str) -> Response:
        """Delete the properties of a namespace.

        Its sessions' properties and its time to live stay.
        """
        deleting.delete_all(database(), _document(account, namespace))
        return no_content()


@blueprint.route(
    "/<account>/<namespace>/properties/<path:name>", parameters=[ACCOUNT, NAMESPACE, NAME]
)
class NamespaceProperty(Resource):
    """One property of a namespace that belongs to no session."""

    @blueprint.doc(**_save_one_docs("saveNamespaceProperty"))
    def put(self, account: str, namespace: str, name: str) -> Response:
        """Save one property of a namespace."""
        return _save_one(_document(account, namespace), name)

    @blueprint.doc(**_read_one_docs("getNamespaceProperty"))
    def get(self, account: str, namespace: str, name: str) -> Response:
        """Get one property of a namespace."""
        return _read_one(_document(account, namespace), name)

    @blueprint.doc(**_delete_docs("deleteNamespaceProperty"))
    def delete(self, account: str, namespace: str, name: str) -> Response:
        """Delete one property of a namespace."""
        return _delete_one(_document(account, namespace), name)


@blueprint.route(
    "/<account>/<namespace>/<session:session>/properties", parameters=[ACCOUNT, NAMESPACE, SESSION]
)
class SessionProperties(Resource):
    """The properties of a session."""

    @blueprint.doc(**_save_all_docs("saveSessionProperties"))
    def patch(self, account: str, namespace: str, session: str) -> Response:
        """Save properties of a session.

        Each member of the body is created or replaced; properties that are left out stay as they are.
        """
        return _save_all(_document(account, namespace, session))

    @blueprint.doc(**_read_all_docs("getSessionProperties"))
    def get(self, account: str, namespace: str, session: str) -> Response:
        """Get the properties of a session."""
        return _read_all(_document(account, namespace, session))

    @blueprint.doc(**_delete_docs("deleteSessionProperties"))
    def delete(self, account: str, namespace: str, session: str) -> Response:
        """Delete the properties of a session.

        Its time to live stays.
        """
        deleting.delete_all(database(), _document(account, namespace, session))
        return no_content()


@blueprint.route(
    "/<account>/<namespace>/<session:session>/properties/<path:name>",
    parameters=[ACCOUNT, NAMESPACE, SESSION, NAME],
)
class SessionProperty(Resource):
    """One property of a session."""

    @blueprint.doc(**_save_one_docs("saveSessionProperty"))
    def put(self, account: str, namespace: str, session: str, name: str) -> Response:
        """Save one property of a session."""
        return _save_one(_document(account, namespace, session), name)

    @blueprint.doc(**_read_one_docs("getSessionProperty"))
    def get(self, account: str, namespace: str, session: str, name: str) -> Response:
        """Get one property of a session."""
        return _read_one(_document(account, namespace, session), name)

    @blueprint.doc(**_delete_docs("deleteSessionProperty"))
    def delete(self, account: str, namespace: str, session: str, name: str) -> Response:
        """Delete one property of a session."""
        return _delete_one(_document(account, namespace, session), name)


def _document(account: str, namespace: str, session: str = DEFAULT_SESSION) -> DocumentKey:
    return DocumentKey(account, check_namespace(namespace), check_session(session))


def _save_all(document: DocumentKey) -> Response:
    properties, count = read_properties()
    if count:
        current_account().check_quota()
        saving.save(database(), document, properties)
    return no_content()


def _read_all(document: DocumentKey) -> Response:
    # Werkzeug reads a query slowly, and nearly no request has one.
    include = _include() if current_request().environ["QUERY_STRING"] else None
    if not include:
        return json_response(reading.read_all(database(), document))
    return json_response(reading.read_some(database(), document, include.split(",")))


def _include() -> str | None:
    """The parameter `include`; werkzeug would read U+FFFD where it is not UTF-8, which is a name too."""
    try:
        query = parse_qs(request.query_string.decode(), errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The query must be percent-encoded UTF-8.", "include") from None
    return query.get("include", [None])[0]


def _save_one(document: DocumentKey, name: str) -> Response:
    value = read_property(check_property(name))
    current_account().check_quota()
    saving.save(database(), document, value)
    return no_content()


def _read_one(document: DocumentKey, name: str) -> Response:
    value = reading.read_one(database(), document, check_property(name))
    if value is None:
        raise NotFound("There is no such property; it was never saved, was deleted or has expired.")
    # A string comes bare to a client that would rather have text, as the vendor's documentation prints it.
    if value.startswith(b'"') and _prefers_text():
        return text_response(value)
    return json_response(value)


def _prefers_text() -> bool:
    accepted = request.environ.get("HTTP_ACCEPT", "")
    if "text/" not in accepted:
        return False
    # Its parameters, a charset say, are none that we could serve otherwise.
    plain = MIMEAccept(
        (media.partition(";")[0].strip(), quality) for media, quality in request.accept_mimetypes
    )
    return plain.best_match(["application/json", "text/plain"]) == "text/plain"


def _delete_one(document: DocumentKey, name: str) -> Response:
    deleting.delete_one(database(), document, check_property(name))
    return no_content()
