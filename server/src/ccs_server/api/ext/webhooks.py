"""Webhooks: where changes are delivered, managed by the holder of an admin key (docs/extension.md, "Webhooks")."""

from typing import Any

from flask import Response
from msgspec import UNSET
from msgspec.json import Decoder, encode

from ccs_server.api.accounts import current_account
from ccs_server.api.ext import idempotency
from ccs_server.api.ext import webhook_schemas as schemas
from ccs_server.api.ext.blueprint import ACCOUNT, webhooks_blueprint
from ccs_server.api.ext.change_queries import FORGOTTEN, NOW, START
from ccs_server.api.ext.change_schemas import TYPES
from ccs_server.api.ext.numbers import check_whole
from ccs_server.api.ext.queries import check_no_parameters
from ccs_server.api.openapi import path_parameter
from ccs_server.api.services import actor, database, services
from ccs_server.domain.access import Scope
from ccs_server.domain.change_log import Position, cursor_of, read_cursor
from ccs_server.domain.errors import Gone, InvalidInput
from ccs_server.domain.limits import (
    MAX_CHANGE_FILTERS,
    MAX_OVERLAP_SECONDS,
    SECRET_OVERLAP_SECONDS,
)
from ccs_server.domain.names import check_namespace
from ccs_server.domain.receivers import RefusedAddress, check_addresses, read_url
from ccs_server.domain.times import utc
from ccs_server.http.blueprint import Resource
from ccs_server.http.body import decode_json, read_body, storable
from ccs_server.http.name_lookup import look_up
from ccs_server.http.responses import json_response, no_content
from ccs_server.store import webhooks
from ccs_server.store.changes import is_known, read_changes
from ccs_server.store.operations.idempotency import Answer, Once
from ccs_server.store.webhooks import ChangedWebhook, Webhook, WebhookChange, WebhookTerms

_WEBHOOK_ID = path_parameter(
    "webhook_id", {"type": "string"}, "a1B2c3D4e5F6", "The id of the webhook."
)

_LOOK_UP_SECONDS = 3.0
"""How long the creation of a webhook waits for the addresses of its host."""

_webhook = Decoder(schemas.WebhookBody)
_change = Decoder(schemas.WebhookChangeBody)


@webhooks_blueprint.route("/<account>/webhooks", parameters=[ACCOUNT])
class Webhooks(Resource):
    """The webhooks of an account."""

    @webhooks_blueprint.doc(**schemas.create_webhook_docs())
    @idempotency.replaying
    def post(self, account: str) -> Response:
        """Create a webhook.

        Needs the scope `admin`. From now on, changes are sent to its URL, signed with the secret in the response, which
        is not shown again.
        """
        _check_admin()
        body = read_body()
        terms = _terms(decode_json(_webhook, storable(body, wrapping=1)))
        request = idempotency.once(body)
        once = Once(request, _stored_creation) if request else None
        made = webhooks.create_webhook(database(), account, actor(), terms, once)
        return json_response(_new_webhook(made.webhook, made.secret), 201)

    @webhooks_blueprint.doc(**schemas.list_webhooks_docs())
    def get(self, account: str) -> Response:
        """List the webhooks.

        Needs the scope `admin`.
        """
        _check_admin()
        listed = webhooks.list_webhooks(database(), account)
        found = [schemas.WebhookResponse(**_members(webhook)) for webhook in listed]
        return json_response(encode(schemas.WebhooksResponse(found)))


@webhooks_blueprint.route("/<account>/webhooks/<webhook_id>", parameters=[ACCOUNT, _WEBHOOK_ID])
class OneWebhook(Resource):
    """One webhook."""

    @webhooks_blueprint.doc(**schemas.read_webhook_docs())
    def get(self, account: str, webhook_id: str) -> Response:
        """Get a webhook.

        Needs the scope `admin`.
        """
        _check_admin()
        found = webhooks.find_webhook(database(), account, webhook_id)
        return json_response(encode(schemas.WebhookResponse(**_members(found))))

    @webhooks_blueprint.doc(**schemas.change_webhook_docs())
    @idempotency.replaying
    def patch(self, account: str, webhook_id: str) -> Response:
        """Pause a webhook, go on, replay or skip changes, or replace its secret.

        Needs the scope `admin`. A message that is being sent meanwhile may still arrive.
        """
        _check_admin()
        body = read_body()
        given = decode_json(_change, storable(body, wrapping=1))
        overlap = _overlap(given)
        webhook = webhooks.find_webhook(database(), account, webhook_id)
        change = WebhookChange(
            None if given.state is UNSET else given.state == "paused",
            _position(webhook, given),
            overlap,
        )
        request = idempotency.once(body)
        once = Once(request, _stored_change) if request else None
        changed = webhooks.change_webhook(database(), account, webhook_id, actor(), change, once)
        return json_response(_changed_webhook(changed, changed.secret))

    @webhooks_blueprint.doc(**schemas.delete_webhook_docs())
    def delete(self, account: str, webhook_id: str) -> Response:
        """Delete a webhook.

        Needs the scope `admin`. Deleting one that is not there is harmless.
        """
        _check_admin()
        webhooks.delete_webhook(database(), account, webhook_id, actor())
        return no_content()


def _check_admin() -> None:
    current_account().access.require(Scope.ADMIN)
    check_no_parameters()


def _terms(body: schemas.WebhookBody) -> WebhookTerms:
    for names, field in ((body.ns, "ns"), (body.types, "types")):
        if len(names) > MAX_CHANGE_FILTERS:
            raise InvalidInput(f"{field} may have at most {MAX_CHANGE_FILTERS} elements.", field)
    for namespace in body.ns:
        check_namespace(namespace, "ns")
    if not set(body.types) <= set(TYPES):
        raise InvalidInput(f"types must be some of {', '.join(TYPES)}.", "types")
    _check_receiver(body.url)
    return WebhookTerms(body.url, body.ns or None, body.types or None)


def _check_receiver(url: str) -> None:
    """Raises InvalidInput if nothing may be sent to the URL as its host is now.

    The addresses are checked again at each delivery, so a host may have none yet.
    """
    receiver = read_url(url)
    try:
        addresses = look_up(receiver.host, receiver.port).result(_LOOK_UP_SECONDS)
    except OSError:  # or a TimeoutError, which is one
        addresses = []
    try:
        check_addresses(receiver.scheme, addresses, services().settings.webhook_allow)
    except RefusedAddress:
        raise _not_allowed() from None
    if receiver.scheme != "https" and not addresses:
        raise _not_allowed()


def _not_allowed() -> InvalidInput:
    return InvalidInput(
        "url must begin with https:// and lead to a public address; the operator can allow others with "
        "CCS_WEBHOOK_ALLOW.",
        "url",
    )


def _overlap(given: schemas.WebhookChangeBody) -> int | None:
    if given.overlap is UNSET:
        return SECRET_OVERLAP_SECONDS if given.rotateSecret else None
    overlap = check_whole(given.overlap, 0, MAX_OVERLAP_SECONDS, "overlap")
    if not given.rotateSecret:
        raise InvalidInput("overlap needs rotateSecret.", "overlap")
    return overlap


def _position(webhook: Webhook, given: schemas.WebhookChangeBody) -> Position | None:
    """The position from which to deliver; None to go on.

    Raises:
        InvalidInput: `after` is no cursor of the account.
        Gone: the log has forgotten what follows it, or what follows the webhook's position if it is to go on there.
    """
    if given.after is UNSET and given.state != "active":
        return None
    page = read_changes(
        database(), webhook.account, webhook.wanted, after=0, limit=0, backward=False
    )
    if given.after == START:
        return Position(page.epoch, page.forgotten)
    if given.after == NOW:
        return Position(page.epoch, page.head)
    position = None if given.after is UNSET else read_cursor(webhook.account, given.after)
    if not is_known(position or webhook.position, page):
        raise Gone(FORGOTTEN)
    return position


def _members(webhook: Webhook) -> dict[str, Any]:
    since = webhook.failing_since
    return {
        "id": webhook.id,
        "url": webhook.terms.url,
        "ns": list(webhook.terms.namespaces or ()),
        "types": list(webhook.terms.types or ()),
        "state": "paused" if webhook.is_paused else "active",
        "createdAt": utc(webhook.created_at),
        "after": cursor_of(webhook.account, webhook.position),
        "lag": webhook.lag,
        "failingSince": utc(since) if since else None,
        "lastError": webhook.last_error,
    }


def _new_webhook(webhook: Webhook, secret: str | None) -> bytes:
    return encode(schemas.NewWebhookResponse(secret=secret, **_members(webhook)))


def _changed_webhook(changed: ChangedWebhook, secret: str | None) -> bytes:
    shown = UNSET if changed.secret is None else secret
    return encode(schemas.ChangedWebhookResponse(secret=shown, **_members(changed.webhook)))


def _stored_creation(made: ChangedWebhook) -> Answer:
    """The answer to a repetition, without the secret, which is not stored."""
    return Answer(201, _new_webhook(made.webhook, None))


def _stored_change(changed: ChangedWebhook) -> Answer:
    """As `_stored_creation`."""
    return Answer(200, _changed_webhook(changed, None))
