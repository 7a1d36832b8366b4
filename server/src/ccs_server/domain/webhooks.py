"""Webhooks: their messages and signatures, as Standard Webhooks defines them, and when to try again.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
import random
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable

from ccs_server.domain.credentials import new_id

SECRET_PREFIX = "whsec_"  # noqa: S105 - of any secret

_SECRET_BYTES = 32

MAX_EVENTS = 100
"""The maximum number of events in a message (extension, section 3)."""

MAX_MESSAGE_BYTES = 256 * 1024
"""The maximum size of a message (section 3)."""

RECEIVER_SECONDS = 15.0
"""How long a receiver may take to respond (section 3)."""

GIVE_UP_SECONDS = 3 * 86_400
"""After failing for so long, a webhook is paused (section 3)."""

MAX_RETRY_AFTER_SECONDS = 86_400
"""The longest wait that a receiver may ask for."""

_RETRY_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200)

_JITTER = 0.1


def new_secret() -> str:
    """Generates the secret of a webhook."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_message_id() -> str:
    """Generates the id of a message, which is the same in each try."""
    return f"msg_{new_id()}{new_id()}"


def sign(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Returns the header `webhook-signature`: a signature by each secret, separated by spaces."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    signatures = (
        hmac.digest(b64decode(key.removeprefix(SECRET_PREFIX)), content, "sha256") for key in keys
    )
    return " ".join(f"v1,{b64encode(signature).decode()}" for signature in signatures)


def retry_seconds() -> list[float]:
    """How long to wait after the first failure, after the second in a row and so on, give or take a tenth."""
    return [
        seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
        for seconds in _RETRY_SECONDS
    ]
