"""`verify_webhook`, and the standard's own library: each verifies what the other has signed, and nothing else."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

import ccs_sdk
from ccs_sdk import CCSError, ConfigurationError, verify_webhook
from ccs_server.domain.webhooks import new_secret, sign

SECRET = new_secret()

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
members: dict[str, st.SearchStrategy[Any]] = {
    "id": st.text(),
    "type": st.just("property.set"),
    "time": st.just("2026-11-28T08:00:00.000Z"),
    "ns": st.text(),
    "value": values,
}
optional: dict[str, st.SearchStrategy[Any]] = {
    "session": st.text(),
    "name": st.text(),
    "by": st.text(),
    "expiresAt": st.none(),
}
changes: st.SearchStrategy[list[Any]] = st.lists(
    st.fixed_dictionaries(members, optional=optional), max_size=3
)
secrets = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + b64encode(key).decode())
ids = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="."), min_size=1
)


def message(events: list[Any]) -> str:
    said = {"type": "changes", "timestamp": "x", "data": {"events": events}}
    return json.dumps(said, ensure_ascii=False)


def headers(
    body: str, secret: str = SECRET, at: datetime | None = None, id_: str = "msg_1"
) -> dict[str, str]:
    """Signs by the standard's own library."""
    moment = at or datetime.now(UTC)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, moment, body),
    }


@given(changes, secrets, ids)
def test_it_verifies_what_the_standards_library_has_signed(
    events: list[Any], secret: str, id_: str
) -> None:
    body = message(events)
    verified = verify_webhook(body.encode(), headers(body, secret, id_=id_), secret)
    assert verified.id == id_
    assert [(change.id, change.value) for change in verified.changes] == [
        (event["id"], event["value"]) for event in events
    ]
    with pytest.raises(ccs_sdk.WebhookVerificationError):
        verify_webhook(body.encode() + b" ", headers(body, secret, id_=id_), secret)


@given(changes, secrets, ids)
def test_both_verify_what_the_service_has_signed(events: list[Any], secret: str, id_: str) -> None:
    body = message(events)
    now = int(datetime.now(UTC).timestamp())
    sent = {
        "Webhook-Id": id_,
        "Webhook-Timestamp": str(now),
        "Webhook-Signature": sign([new_secret(), secret], id_, now, body.encode()),
    }
    assert verify_webhook(body, sent, secret).id == id_
    theirs = Webhook(secret).verify(body, {name.lower(): value for name, value in sent.items()})
    assert theirs == json.loads(body)


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()
    ),
    st.binary(),
)
def test_both_refuse_anything_else(given_headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(ccs_sdk.WebhookVerificationError):
        verify_webhook(body, given_headers, SECRET)
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(SECRET).verify(body, given_headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_2"),
        ("webhook-timestamp", "0"),
        ("webhook-timestamp", "9" * 400),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "²"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v2,x"),
        ("webhook-signature", "v1,é"),
    ],
)
def test_a_changed_header_is_refused(name: str, value: str) -> None:
    body = message([])
    with pytest.raises(ccs_sdk.WebhookVerificationError):
        verify_webhook(body, headers(body) | {name: value}, SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    body = message([])
    sent = {each: value for each, value in headers(body).items() if each != name}
    with pytest.raises(ccs_sdk.WebhookVerificationError, match=name):
        verify_webhook(body, sent, SECRET)


def test_another_secret_is_refused() -> None:
    body = message([])
    with pytest.raises(ccs_sdk.WebhookVerificationError, match="not signed by the secret"):
        verify_webhook(body, headers(body), new_secret())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_message_of_another_time_is_refused_unless_tolerated(minutes: int) -> None:
    body = message([])
    sent = headers(body, at=datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(ccs_sdk.WebhookVerificationError, match="clocks"):
        verify_webhook(body, sent, SECRET)
    assert verify_webhook(body, sent, SECRET, tolerance=timedelta(minutes=7)).changes == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        "\xff",
        '{"type":"other","data":{"events":[]}}',
        '{"type":"changes","data":{"events":[{}]}}',
    ],
)
def test_a_signed_body_that_tells_of_no_changes_is_refused(body: str) -> None:
    with pytest.raises(ccs_sdk.WebhookVerificationError, match="tells of no changes"):
        verify_webhook(body, headers(body), SECRET)


@pytest.mark.parametrize(
    "secret", ["whsec_é", "whsec_!", "whsec_abc", "", "whsec_", "whsec_YWJj", None]
)
def test_a_secret_that_is_none_is_a_mistake_of_the_configuration(secret: Any) -> None:
    body = message([])
    with pytest.raises(ConfigurationError):
        verify_webhook(body, headers(body), secret)


def test_numbers_keep_their_digits_with_decimals() -> None:
    event = (
        '{"id":"x","type":"property.set","time":"2026-11-28T08:00:00.000Z","ns":"n","value":1.10}'
    )
    body = f'{{"type":"changes","data":{{"events":[{event}]}}}}'
    (change,) = verify_webhook(body, headers(body), SECRET, decimals=True).changes
    assert str(change.value) == "1.10"
    assert isinstance(change.value, Decimal)
    assert issubclass(ccs_sdk.WebhookVerificationError, CCSError)
