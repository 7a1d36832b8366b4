"""Rows 21–25 of the contract: documents."""

from flask import Response
from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.consistency import reads
from ccs_server.api.services import actor, database, services
from ccs_server.api.v2 import schemas
from ccs_server.api.v2.auth import check_tenant
from ccs_server.api.v2.blueprint import ACCOUNT, NAMESPACE, SESSION, blueprint
from ccs_server.domain.errors import InvalidInput, NotFound
from ccs_server.domain.names import (
    DEFAULT_SESSION,
    check_namespace_v2,
    check_properties,
    check_session,
)
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import read_json
from ccs_server.http.responses import json_response
from ccs_server.store import deleting, reading, saving
from ccs_server.store.document import DocumentKey

_create = Decoder(schemas.CreateBody)
_filter = Decoder(schemas.FilterBody)
_delete = Decoder(schemas.DeleteBody)


@blueprint.route("/create")
class Creation(Resource):
    """Creating documents and adding to them."""

    @blueprint.doc(**schemas.create_docs("createDocument"))
    def post(self) -> Response:
        """Create a document, or add to it.

        Properties that are left out stay. All properties of the document, they too, then expire together.
        """
        return _save()

    @blueprint.doc(**schemas.create_docs("updateDocument"))
    def patch(self) -> Response:
        """Add to a document, or create it.

        The same as POST.
        """
        return _save()


@blueprint.route("/<account>/<namespace>", parameters=[ACCOUNT, NAMESPACE])
class NamespaceDocument(Resource):
    """The document of a namespace."""

    @blueprint.doc(**schemas.read_docs("getNamespaceDocument"))
    def get(self, account: str, namespace: str) -> Response:
        """Get the document of a namespace."""
        return _read(account, namespace, UNSET)


@blueprint.route("/<account>/<namespace>/<session>", parameters=[ACCOUNT, NAMESPACE, SESSION])
class SessionDocument(Resource):
    """The document of a session."""

    @blueprint.doc(**schemas.read_docs("getSessionDocument"))
    def get(self, account: str, namespace: str, session: str) -> Response:
        """Get the document of a session."""
        return _read(account, namespace, session)


@blueprint.route("/properties")
class DocumentProperties(Resource):
    """Some properties of a document."""

    @blueprint.doc(**schemas.filter_docs("getDocumentProperties"))
    def post(self) -> Response:
        """Get some properties of a document.

        Each is named as its namespace, a dot, its name.
        """
        wanted = read_json(_filter, wrapping=1)
        document = _document(wanted)
        prefix = f"{wanted.nameSpace}."
        for entry in wanted.filter:
            if not entry.startswith(prefix):
                raise InvalidInput(f"Each entry of filter must begin with '{prefix}'.", "filter")
        names = [entry.removeprefix(prefix) for entry in wanted.filter]
        check_properties(names, field="filter")
        return json_response(reading.read_filtered(reads(), document, names))


@blueprint.route("/property/delete")
class PropertyDeletion(Resource):
    """Deleting properties of a document."""

    @blueprint.doc(**schemas.delete_docs("deleteDocumentProperties"))
    def delete(self) -> Response:
        """Delete properties of a document.

        Without `propertyToDelete` the whole document goes.
        """
        return _delete_properties()


@blueprint.route("/delete")
class Deletion(Resource):
    """Deleting documents."""

    @blueprint.doc(**schemas.delete_docs("deleteDocument"))
    def delete(self) -> Response:
        """Delete a document, or properties of it.

        The same as `/property/delete`.
        """
        return _delete_properties()


def _document(addressed: schemas.Addressed) -> DocumentKey:
    session = addressed.sessionId
    return DocumentKey(
        check_tenant(addressed.accountId),
        check_namespace_v2(addressed.nameSpace),
        DEFAULT_SESSION if session is UNSET else check_session(session),
    )


def _save() -> Response:
    given = read_json(_create, wrapping=2)
    document = _document(given)
    check_properties(given.payload, field="payload")
    ttl = given.ttlSeconds
    if ttl < 0 or ttl != int(ttl):
        raise InvalidInput("ttlSeconds must be a whole number of seconds from 0.", "ttlSeconds")
    account, known = current_account(), services()
    # Without properties it adds nothing.
    if given.payload:
        account.check_quota()
    longest = known.settings.max_retention
    ttl = int(min(ttl, longest))
    store, by = known.database, account.actor
    if len(given.payload) == 1:
        name, value = given.payload.popitem()
        saving.save_document_one(
            store, document, name, bytes(value), ttl=ttl, max_retention=longest, by=by
        )
    else:
        saving.save_document(
            store, document, encode(given.payload), ttl=ttl, max_retention=longest, by=by
        )
    return json_response(encode(_success(given)), 201)


def _delete_properties() -> Response:
    given = read_json(_delete, wrapping=1)
    document = _document(given)
    if given.propertyToDelete is UNSET:
        deleting.delete_all(database(), document, actor())
    else:
        check_properties(given.propertyToDelete, field="propertyToDelete")
        deleting.delete_some(database(), document, given.propertyToDelete, actor())
    return json_response(encode(_success(given)))


def _success(addressed: schemas.Addressed) -> schemas.Success:
    key = _key(addressed.accountId, addressed.nameSpace, addressed.sessionId)
    return schemas.Success(documentKey=key, tenantId=addressed.accountId, success=True)


def _key(account: str, namespace: str, session: str | UnsetType) -> str:
    return f"{account}:{namespace}:{session or ''}"


def _read(account: str, namespace: str, session: str | UnsetType) -> Response:
    document = DocumentKey(
        account,
        check_namespace_v2(namespace),
        DEFAULT_SESSION if session is UNSET else check_session(session),
    )
    found = reading.read_document(reads(), document)
    if found is None:
        raise NotFound("There is no such document; it was never saved, was deleted or has expired.")
    document_response = schemas.DocumentResponse(
        accountId=account,
        documentKey=_key(account, namespace, session),
        nameSpace=namespace,
        sessionId=session,
        payload=Raw(found.properties),
        tenantId=account,
        ttl=found.ttl.decode() if found.ttl else UNSET,
    )
    return json_response(encode(document_response))
