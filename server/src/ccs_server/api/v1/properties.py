"""Rows 4–15 of the contract: the properties of a namespace, and of a session in it."""

from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Response
from msgspec import Raw
from msgspec.json import encode
from werkzeug.datastructures import MIMEAccept

from ccs_server.api import conditions
from ccs_server.api import openapi as docs
from ccs_server.api.accounts import current_request
from ccs_server.api.conditions import read_conditions, read_write_options
from ccs_server.api.consistency import CONSISTENCY, reads
from ccs_server.api.services import actor, database
from ccs_server.api.types import Properties, Value
from ccs_server.api.v1.blueprint import ACCOUNT, NAME, NAMESPACE, SESSION, blueprint
from ccs_server.api.v1.bodies import read_properties, read_value
from ccs_server.api.v1.queries import WHOLE, read_query
from ccs_server.domain.conditions import UNCONDITIONAL, etag_of
from ccs_server.domain.errors import NotFound
from ccs_server.domain.names import DEFAULT_SESSION, check_namespace, check_property, check_session
from ccs_server.domain.pointers import resolve
from ccs_server.http.blueprint import Resource
from ccs_server.http.responses import json_response, no_content, not_modified, text_response
from ccs_server.store import deleting, reading, saving
from ccs_server.store.document import DocumentKey
from ccs_server.store.operations.base import document_mismatch, property_mismatch
from ccs_server.store.operations.reads import ABSENT, NO_PART
from ccs_server.store.operations.run import run
from ccs_server.store.operations.writes import Delete, Set

_EXAMPLE = {"myProperty1": "myValue1", "myProperty2": {"score": 1.10, "tags": ["a", "b"]}}
_INCLUDE = {
    "name": "include",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Names, separated by commas: only these of the properties.",
    "example": "myProperty1,myProperty2",
}


_META_PARAMETER = {
    "name": "meta",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "With `true`, each value comes as `{value, etag, expiresAt, updatedAt}`.",
}
_POINTER = {
    "name": "pointer",
    "in": "query",
    "schema": docs.POINTER_SCHEMA,
    "description": "A JSON pointer (RFC 6901): only that part of the value.",
}


def _save_all_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "parameters": [*conditions.PARAMETERS, conditions.TTL, conditions.FENCE],
        "requestBody": docs.body(Properties, properties=_EXAMPLE),
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403, 409, 412, 413, 415),
    }


def _read_all_docs(operation_id: str) -> dict[str, Any]:
    found = docs.response("The properties.", Properties, properties=_EXAMPLE)
    found["200"]["headers"] = conditions.ETAG
    return {
        "operationId": operation_id,
        "parameters": [_INCLUDE, _META_PARAMETER, *conditions.PARAMETERS, CONSISTENCY],
        "responses": found | conditions.NOT_MODIFIED | docs.errors(400, 401, 403, 412),
    }


def _save_one_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "parameters": [*conditions.PARAMETERS, conditions.TTL, conditions.FENCE],
        "requestBody": docs.body(Value, string="myValue1", object={"score": 1.10}),
        "responses": {"204": docs.NO_CONTENT["204"] | {"headers": conditions.ETAG}}
        | docs.errors(400, 401, 403, 409, 412, 413, 415),
    }


def _read_one_docs(operation_id: str) -> dict[str, Any]:
    found = docs.response("The value.", Value, string="myValue1", object={"score": 1.10})
    found["200"]["content"]["text/plain"] = {"schema": {"type": "string"}, "example": "myValue1"}
    found["200"]["headers"] = conditions.ETAG
    return {
        "operationId": operation_id,
        "parameters": [_META_PARAMETER, _POINTER, *conditions.PARAMETERS, CONSISTENCY],
        "responses": found | conditions.NOT_MODIFIED | docs.errors(400, 401, 403, 404, 412),
    }


def _delete_docs(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "parameters": [*conditions.PARAMETERS, conditions.FENCE],
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403, 412),
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
        return _delete_all(_document(account, namespace))


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
        return _delete_all(_document(account, namespace, session))


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
    request = current_request()
    account = request.account
    properties = read_properties(account.access)
    options = read_write_options(request.environ, takes_ttl=True)
    if properties:
        account.check_quota()
    if options:
        run(
            database(),
            Set(
                document=document,
                properties=encode(properties),
                count=len(properties),
                ttl=options.ttl,
                conditions=options.conditions,
                fence=options.fence,
            ),
            account.actor,
        )
    elif len(properties) == 1:
        name, value = properties.popitem()
        saving.save_one(database(), document, name, bytes(value), account.actor)
    elif properties:
        saving.save(database(), document, encode(properties), account.actor)
    return no_content()


def _save_one(document: DocumentKey, name: str) -> Response:
    check_property(name)
    value = read_value()
    etag = etag_of(value)
    request = current_request()
    options = read_write_options(request.environ, takes_ttl=True)
    account = request.account
    account.check_quota()
    if options:
        run(
            database(),
            Set(
                document=document,
                name=name,
                properties=encode({name: Raw(value)}),
                count=1,
                ttl=options.ttl,
                conditions=options.conditions,
                fence=options.fence,
            ),
            account.actor,
        )
    else:
        saving.save_one(database(), document, name, value, account.actor)
    return no_content(etag)


def _read_all(document: DocumentKey) -> Response:
    environ = current_request().environ
    query = read_query(environ)
    if query.meta:
        properties, body = reading.read_described(reads(), document, query.include)
    else:
        body = properties = (
            reading.read_all(reads(), document)
            if query.include is None
            else reading.read_some(reads(), document, query.include)
        )
    etag = etag_of(properties)
    wanted = read_conditions(environ)
    if wanted is not UNCONDITIONAL:
        present = properties != reading.NOTHING
        if not wanted.matches(etag, present=present):
            raise document_mismatch(etag)
        if not wanted.differs(etag, present=present):
            return not_modified(etag)
    return json_response(body, etag=etag)


def _read_one(document: DocumentKey, name: str) -> Response:
    check_property(name)
    environ = current_request().environ
    query = read_query(environ)
    wanted = read_conditions(environ)
    # Only `meta` and a 412 need more than the value.
    if query is WHOLE and wanted.if_match is None:
        value = reading.read_one(reads(), document, name)
        if value is None:
            raise NotFound(ABSENT)
        etag = etag_of(value)
        if wanted is not UNCONDITIONAL and not wanted.differs(etag, present=True):
            return not_modified(etag)
        return _value_response(environ, value, etag)
    found = reading.read_one_described(reads(), document, name)
    if found is None:
        raise NotFound(ABSENT)
    if not wanted.matches(found.etag, present=True):
        raise property_mismatch(found)
    if not wanted.differs(found.etag, present=True):
        return not_modified(found.etag)
    part = resolve(found.value, query.pointer)
    if part is None:
        raise NotFound(NO_PART)
    body = encode(found.members(part)) if query.meta else part
    return _value_response(environ, body, found.etag)


def _value_response(environ: WSGIEnvironment, value: bytes, etag: str) -> Response:
    """A value, as JSON with its entity tag.

    A string comes bare to a client that would rather have text, as the vendor's documentation prints it.
    """
    if value.startswith(b'"') and _prefers_text(environ):
        return text_response(value)
    return json_response(value, etag=etag)


def _prefers_text(environ: WSGIEnvironment) -> bool:
    if "text/" not in environ.get("HTTP_ACCEPT", ""):
        return False
    # Its parameters, a charset say, are none that we could serve otherwise.
    plain = MIMEAccept(
        (media.partition(";")[0].strip(), quality)
        for media, quality in current_request().accept_mimetypes
    )
    return plain.best_match(["application/json", "text/plain"]) == "text/plain"


def _delete_all(document: DocumentKey) -> Response:
    options = read_write_options(current_request().environ, takes_ttl=False)
    if options:
        deletion = Delete(document=document, conditions=options.conditions, fence=options.fence)
        run(database(), deletion, actor())
    else:
        deleting.delete_all(database(), document, actor())
    return no_content()


def _delete_one(document: DocumentKey, name: str) -> Response:
    check_property(name)
    options = read_write_options(current_request().environ, takes_ttl=False)
    if options:
        deletion = Delete(
            document=document, name=name, conditions=options.conditions, fence=options.fence
        )
        run(database(), deletion, actor())
    else:
        deleting.delete_one(database(), document, name, actor())
    return no_content()
