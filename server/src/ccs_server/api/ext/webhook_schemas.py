"""Bodies and responses of webhooks, and their documentation. The fields are called as on the wire."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ccs_server.api import openapi as docs
from ccs_server.api.ext.change_schemas import TYPES
from ccs_server.api.ext.idempotency import PARAMETER
from ccs_server.domain.cursors import MAX_CURSOR_LENGTH
from ccs_server.domain.limits import (
    MAX_CHANGE_FILTERS,
    MAX_OVERLAP_SECONDS,
    SECRET_OVERLAP_SECONDS,
)
from ccs_server.domain.receivers import MAX_URL_LENGTH

Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
State = Annotated[
    Literal["active", "paused"],
    Meta(
        description="`paused`: nothing is delivered until it is `active` again.",
        extra_json_schema={"type": "string"},
    ),
]
ChangeType = Annotated[str, Meta(extra_json_schema={"enum": list(TYPES)})]
Namespaces = Annotated[
    list[Annotated[str, Meta(extra_json_schema=docs.NAMESPACE_SCHEMA)]],
    Meta(max_length=MAX_CHANGE_FILTERS, description="Only of these namespaces; empty for all."),
]
Types = Annotated[
    list[ChangeType],
    Meta(max_length=MAX_CHANGE_FILTERS, description="Only of these types; empty for all."),
]


class WebhookBody(Struct, forbid_unknown_fields=True):
    """The webhook to create."""

    url: Annotated[
        str,
        Meta(
            description="Where to send. `https`, to a public address, unless the operator allows others.",
            extra_json_schema={"maxLength": MAX_URL_LENGTH, "pattern": "^https?://[!-~]+$"},
        ),
    ]
    ns: Namespaces = []
    types: Types = []


class WebhookChangeBody(Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    state: (
        Annotated[
            Literal["active", "paused"],
            Meta(
                description="`active` delivers again, at once.",
                extra_json_schema={"type": "string"},
            ),
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            str,
            Meta(
                description="What follows is delivered from then on: after a cursor, from the `start` of the log, "
                "or from `now` on.",
                extra_json_schema={"pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_LENGTH}}}$"},
            ),
        ]
        | UnsetType
    ) = UNSET
    rotateSecret: Annotated[
        bool, Meta(description="Whether to make a new secret, which the response holds.")
    ] = False
    # 60.0 is a whole number too.
    overlap: (
        Annotated[
            int | float,
            Meta(
                description="The seconds for which the old secret still signs beside the new one; "
                f"left out, {SECRET_OVERLAP_SECONDS}. Only with `rotateSecret`.",
                extra_json_schema={
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MAX_OVERLAP_SECONDS,
                },
            ),
        ]
        | UnsetType
    ) = UNSET


class WebhookResponse(Struct, kw_only=True):
    """A webhook, without its secret."""

    id: str
    url: str
    ns: Namespaces
    types: Types
    state: State
    createdAt: Moment
    after: Annotated[
        str, Meta(description="A cursor: everything up to it was delivered, or is not wanted.")
    ]
    lag: Annotated[int, Meta(description="How many changes the log has after that, wanted or not.")]
    failingSince: Annotated[
        Moment | None,
        Meta(description="When the first try failed since the last success; `null` if none has."),
    ]
    lastError: Annotated[
        str | None, Meta(description="Why the last try failed; `null` if it has not.")
    ]


class NewWebhookResponse(WebhookResponse, kw_only=True):
    """A new webhook."""

    secret: Annotated[
        str | None,
        Meta(
            description="What signs its messages, by Standard Webhooks. It is not shown again: null in a repeated "
            "response."
        ),
    ]


class ChangedWebhookResponse(WebhookResponse, kw_only=True, omit_defaults=True):
    """A webhook after a change."""

    secret: (
        Annotated[
            str | None,
            Meta(description="The new secret, if there is one; null in a repeated response."),
        ]
        | UnsetType
    ) = UNSET


class WebhooksResponse(Struct):
    """The webhooks of an account, oldest first."""

    webhooks: list[WebhookResponse]


_WEBHOOK = {
    "id": "a1B2c3D4e5F6",
    "url": "https://bot.example/changes",
    "ns": ["myNamespace"],
    "types": ["property.set"],
    "state": "active",
    "createdAt": "2021-02-26T02:46:38.220Z",
    "after": "Xb3v",
    "lag": 0,
    "failingSince": None,
    "lastError": None,
}
_SECRET = {"secret": f"whsec_{'A' * 43}="}


def create_webhook_docs() -> dict[str, Any]:
    """The documentation of POST `/webhooks`."""
    example = {
        "url": "https://bot.example/changes",
        "ns": ["myNamespace"],
        "types": ["property.set"],
    }
    created = docs.response("The webhook.", NewWebhookResponse, webhook=_WEBHOOK | _SECRET)
    return {
        "operationId": "createWebhook",
        "parameters": [PARAMETER],
        "requestBody": docs.body(WebhookBody, webhook=example),
        "responses": {"201": created["200"]} | docs.errors(400, 401, 403, 409, 413, 415, 422),
    }


def list_webhooks_docs() -> dict[str, Any]:
    """The documentation of GET `/webhooks`."""
    listed = docs.response("The webhooks.", WebhooksResponse, webhooks={"webhooks": [_WEBHOOK]})
    return {"operationId": "listWebhooks", "responses": listed | docs.errors(400, 401, 403)}


def read_webhook_docs() -> dict[str, Any]:
    """The documentation of GET `/webhooks/{id}`."""
    return {
        "operationId": "getWebhook",
        "responses": docs.response("The webhook.", WebhookResponse, webhook=_WEBHOOK)
        | docs.errors(400, 401, 403, 404),
    }


def change_webhook_docs() -> dict[str, Any]:
    """The documentation of PATCH `/webhooks/{id}`."""
    return {
        "operationId": "changeWebhook",
        "parameters": [PARAMETER],
        "requestBody": docs.body(WebhookChangeBody, replay={"state": "active", "after": "start"}),
        "responses": docs.response(
            "The webhook.", ChangedWebhookResponse, webhook=_WEBHOOK, rotated=_WEBHOOK | _SECRET
        )
        | docs.errors(400, 401, 403, 404, 409, 410, 413, 415, 422),
    }


def delete_webhook_docs() -> dict[str, Any]:
    """The documentation of DELETE `/webhooks/{id}`."""
    return {
        "operationId": "deleteWebhook",
        "responses": docs.NO_CONTENT | docs.errors(400, 401, 403),
    }
