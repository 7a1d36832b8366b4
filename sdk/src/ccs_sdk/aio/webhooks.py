"""The webhooks of an account: made, listed, paused, resumed and deleted with a key of the scope `admin`."""

import builtins
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from ccs_sdk import _paths, _wire
from ccs_sdk._json import JSON
from ccs_sdk._names import Names, check_namespaces, check_segment, check_text
from ccs_sdk._ttl import TTL, whole_seconds
from ccs_sdk.aio._ext import AsyncExtension
from ccs_sdk.models import NewWebhook, Webhook

DEFAULT_OVERLAP: Final = timedelta(days=1)


class AsyncWebhooks:
    """The webhooks of the account. Every method needs a client whose key has the scope `admin`."""

    __slots__ = ("_extension",)

    def __init__(self, extension: AsyncExtension) -> None:
        self._extension = extension

    def __repr__(self) -> str:
        return f"<AsyncWebhooks of {self._extension.path}>"

    async def create(
        self, url: str, *, namespaces: Names | None = None, types: Names | None = None
    ) -> NewWebhook:
        """Makes a webhook that sends what changes from now on. The service tells its secret this one time.

        Only namespaces that log changes are told of; see `AsyncNamespaceHandle.configure`.

        Args:
            url: Where to send messages. It must be `https` and lead to a public address, unless the
                operator of the service allows others.
            namespaces: Only changes of these namespaces, at most 20.
            types: Only changes of these types, such as `property.set`.
        """
        body: dict[str, JSON] = {"url": check_text(url, "A url")}
        if namespaces is not None:
            body["ns"] = check_namespaces(namespaces)
        if types is not None:
            body["types"] = check_namespaces(types)
        info, secret = await self._extension.post("/webhooks", body, _wire.new_webhook, keyed=True)
        if secret is None:
            # The response with the secret was lost, and the service never tells it again.
            return await self.rotate_secret(info.id, overlap=0)
        return NewWebhook(info, secret)

    async def list(self) -> builtins.list[Webhook]:
        """Returns the webhooks of the account."""
        return await self._extension.get("/webhooks", _wire.webhooks)

    async def get(self, webhook_id: str) -> Webhook:
        """Returns a webhook: how far it is, and whether its receiver takes what is sent."""
        return await self._extension.get(_path(webhook_id), _wire.webhook)

    async def pause(self, webhook_id: str) -> Webhook:
        """Sends nothing more until the webhook is resumed. The log keeps what changes meanwhile."""
        return await self._change(webhook_id, {"state": "paused"})

    async def resume(self, webhook_id: str, *, after: str | None = None) -> Webhook:
        """Sends again, at once, also where the service would wait before the next try.

        Args:
            webhook_id: The webhook.
            after: The `id` of a change: what follows it is sent, even if it was sent before. `start`
                replays all of the log, `now` skips what was not delivered. None to go on.
        """
        body: dict[str, JSON] = {"state": "active"}
        if after is not None:
            body["after"] = check_text(after, "after")
        return await self._change(webhook_id, body)

    async def rotate_secret(self, webhook_id: str, *, overlap: TTL = DEFAULT_OVERLAP) -> NewWebhook:
        """Makes a new secret and returns it. Until the overlap ends, the old one signs as well.

        Args:
            webhook_id: The webhook.
            overlap: How long both sign, as a timedelta or in whole seconds, at most a week.
        """
        info, secret = await self._extension.patch(
            _path(webhook_id),
            {"rotateSecret": True, "overlap": whole_seconds(overlap, "An overlap")},
            _wire.rotated_webhook,
        )
        return NewWebhook(info, secret)

    async def delete(self, webhook_id: str) -> None:
        """Deletes a webhook, if it exists."""
        await self._extension.delete(_path(webhook_id))

    async def _change(self, webhook_id: str, body: Mapping[str, JSON]) -> Webhook:
        return await self._extension.patch(_path(webhook_id), body, _wire.webhook)


def _path(webhook_id: object) -> str:
    return f"/webhooks/{_paths.segment(check_segment(webhook_id, 'A webhook id'))}"
