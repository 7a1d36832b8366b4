"""Verifies messages of webhooks, as Standard Webhooks defines it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from ccs_sdk import _json, _wire
from ccs_sdk.errors import ConfigurationError, WebhookVerificationError
from ccs_sdk.models import WebhookMessage

_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"

_LEAST_KEY_BYTES: Final = 24
"""The standard's minimum. With an empty key, as of an unset variable, anyone could sign."""


class Headers(Protocol):
    """Headers of a request: a mapping, or what Flask and other frameworks have in its place."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and values."""
        ...


def verify_webhook(
    body: bytes | str,
    headers: Headers,
    secret: str,
    *,
    tolerance: timedelta = timedelta(minutes=5),
    decimals: bool = False,
) -> WebhookMessage:
    """Verifies that a request was sent by a webhook, and returns what it tells.

    ```python
    message = verify_webhook(request.get_data(), request.headers, secret)
    for change in message.changes:
        show(change)
    ```

    Args:
        body: The body of the request, exactly as it came.
        headers: The headers of the request.
        secret: The webhook's secret, `whsec_…`.
        tolerance: By how much the time of sending may differ from now.
        decimals: Whether numbers with a point or an exponent become `Decimal`.

    Raises:
        WebhookVerificationError: The request was not sent by a webhook with this secret, or not now.
        ConfigurationError: `secret` is not the secret of a webhook.
    """
    key = _key(secret)
    given = {name.lower(): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body
    try:
        message_id, timestamp, signatures = (
            given[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
    except KeyError as missing:
        raise WebhookVerificationError(
            f"The request has no header {missing}; it is no message of a webhook."
        ) from None
    _check_time(timestamp, tolerance)
    signed = f"{message_id}.{timestamp}.".encode() + content
    expected = b64encode(hmac.digest(key, signed, "sha256")).decode()
    if not any(_is_equal(signature, expected) for signature in signatures.split(" ")):
        raise WebhookVerificationError(
            "The request is not signed by the secret; compare it with that of the webhook, and verify the body as it"
            " came."
        )
    try:
        changes = _wire.message_of_changes(_json.decode(content, decimals=decimals))
    except (*_wire.MALFORMED, *_json.UNREADABLE):
        raise WebhookVerificationError(
            "The request is signed by the secret, but tells of no changes."
        ) from None
    return WebhookMessage(message_id, changes)


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (AttributeError, ValueError):
        key = b""
    if len(key) < _LEAST_KEY_BYTES:
        raise ConfigurationError(
            "The secret of a webhook must be as the service has told it: whsec_ and base64."
        )
    return key


def _check_time(timestamp: str, tolerance: timedelta) -> None:
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise WebhookVerificationError("The header webhook-timestamp must be a number of seconds.")
    if abs(time.time() - int(timestamp[:20])) > tolerance.total_seconds():
        raise WebhookVerificationError(
            "The request was not sent now; check the clocks of both machines."
        )


def _is_equal(signature: str, expected: str) -> bool:
    return signature.startswith(_VERSION) and hmac.compare_digest(
        signature.removeprefix(_VERSION).encode(), expected.encode()
    )
