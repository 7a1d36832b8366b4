"""The keys of an account, managed by the holder of a key of the scope `admin` (docs/extension.md, section 6)."""

from typing import Any

from flask import Response
from msgspec import UNSET
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import credential_schemas as schemas
from ccs_server.api.ext import idempotency
from ccs_server.api.ext.blueprint import ACCOUNT, keys_blueprint
from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.api.openapi import path_parameter
from ccs_server.api.services import actor, database
from ccs_server.domain.access import Access, Scope
from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.limits import MAX_OVERLAP_SECONDS, MAX_TTL_SECONDS
from ccs_server.domain.names import check_label, check_namespace_pattern
from ccs_server.domain.times import utc
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import decode_json, read_body, storable
from ccs_server.http.responses import json_response, no_content
from ccs_server.store import credentials
from ccs_server.store.credentials import IssuedKey, KeyTerms, NewKey
from ccs_server.store.operations.idempotency import Answer, Once

_KEY_ID = path_parameter("key_id", {"type": "string"}, "a1B2c3D4e5F6", "The id of the key.")

_key = Decoder(schemas.KeyBody)
_rotation = Decoder(schemas.RotationBody)


@keys_blueprint.route("/<account>/keys", parameters=[ACCOUNT])
class Keys(Resource):
    """The keys of an account."""

    @keys_blueprint.doc(**schemas.create_key_docs("createKey"))
    @idempotency.replaying
    def post(self, account: str) -> Response:
        """Create a key.

        Needs the scope `admin`. The response holds the key itself, which is not shown again.
        """
        _check_admin()
        body = read_body()
        terms = _terms(decode_json(_key, storable(body, wrapping=1)))
        made = credentials.create_key(database(), account, actor(), terms, _once(body))
        return json_response(_new_key(made, key=made.key), 201)

    @keys_blueprint.doc(**schemas.list_keys_docs("listKeys"))
    def get(self, account: str) -> Response:
        """List the valid keys.

        Needs the scope `admin`. Revoked and expired keys are left out.
        """
        _check_admin()
        listed = credentials.list_valid_keys(database(), account)
        keys = [schemas.KeyResponse(**_members(key)) for key in listed]
        return json_response(encode(schemas.KeysResponse(keys)))


@keys_blueprint.route("/<account>/keys/<key_id>", parameters=[ACCOUNT, _KEY_ID])
class Key(Resource):
    """One key."""

    @keys_blueprint.doc(**schemas.delete_key_docs("deleteKey"))
    def delete(self, account: str, key_id: str) -> Response:
        """Revoke a key, and with it its session tokens.

        Needs the scope `admin`. Revoking a key that is not there is harmless.
        """
        _check_admin()
        credentials.delete_key(database(), account, key_id, actor())
        return no_content()


@keys_blueprint.route("/<account>/keys/<key_id>/rotate", parameters=[ACCOUNT, _KEY_ID])
class KeyRotation(Resource):
    """The rotation of a key."""

    @keys_blueprint.doc(**schemas.rotate_key_docs("rotateKey"))
    @idempotency.replaying
    def post(self, account: str, key_id: str) -> Response:
        """Replace a key by one of the same rights, label and expiry.

        Needs the scope `admin`. The old key ends after the overlap, and with it its session tokens.
        """
        _check_admin()
        body = read_body()
        given = decode_json(_rotation, storable(body, wrapping=1))
        overlap = check_whole(given.overlap, 0, MAX_OVERLAP_SECONDS, "overlap")
        made = credentials.rotate_key(database(), account, key_id, overlap, actor(), _once(body))
        return json_response(_new_key(made, key=made.key), 201)


def _check_admin() -> None:
    current_account().access.require(Scope.ADMIN)
    check_no_parameters()


def _terms(body: schemas.KeyBody) -> KeyTerms:
    scope = Scope(body.scope)
    namespaces = body.ns if body.ns is not UNSET else None
    if scope is Scope.ADMIN and namespaces is not None:
        raise InvalidInput("A key of the scope 'admin' is not limited to namespaces.", "ns")
    for namespace in namespaces or ():
        check_namespace_pattern(namespace, "ns")
    lifetime = None
    if body.expiresIn is not UNSET:
        lifetime = check_whole(body.expiresIn, 1, MAX_TTL_SECONDS, "expiresIn")
    access = Access(scope, tuple(namespaces) if namespaces is not None else None)
    return KeyTerms(access, lifetime, check_label(body.label))


def _members(key: IssuedKey) -> dict[str, Any]:
    namespaces = key.access.namespaces
    return {
        "keyId": key.name,
        "label": key.label,
        "scope": key.access.scope,
        "createdAt": utc(key.created_at),
        "expiresAt": utc(key.expires_at) if key.expires_at else None,
        "ns": list(namespaces) if namespaces is not None else UNSET,
    }


def _once(body: bytes) -> Once[NewKey] | None:
    """The request, if it has an idempotency key. The key itself is not stored, so a repetition does not have it."""
    request = idempotency.once(body)
    return Once(request, lambda made: Answer(201, _new_key(made, key=None))) if request else None


def _new_key(made: NewKey, *, key: str | None) -> bytes:
    return encode(schemas.NewKeyResponse(key=key, **_members(made.issued)))
