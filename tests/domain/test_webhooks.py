"""Messages of webhooks as Standard Webhooks defines them, by that standard's own library."""

import time
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from ccs_server.domain.webhooks import new_message_id, new_secret, retry_seconds, sign


def headers(secrets: list[str], body: bytes) -> dict[str, str]:
    message_id, now = new_message_id(), int(time.time())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secrets, message_id, now, body),
    }


@given(st.binary(max_size=200))
def test_a_signature_is_that_of_the_standards_library(content: bytes) -> None:
    secret, body = new_secret(), b'"%b"' % content.hex().encode()
    made = headers([secret], body)
    assert Webhook(secret).verify(body, made) == content.hex()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, made)


def test_each_secret_of_several_verifies() -> None:
    secrets = [new_secret(), new_secret()]
    made = headers(secrets, b"{}")
    for secret in secrets:
        assert Webhook(secret).verify(b"{}", made) == {}


def test_secrets_have_the_form_of_the_standard_and_differ() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(b64decode(secret.removeprefix("whsec_"))) == 32


def test_waits_grow_as_the_contract_says_give_or_take_a_tenth() -> None:
    for _ in range(100):
        for wait, exact in zip(retry_seconds(), (5, 30, 120, 600, 1800, 3600, 7200), strict=True):
            assert 0.9 * exact <= wait <= 1.1 * exact
