"""Webhooks by the SDK, against the real server, which delivers to a receiver of the test."""

from collections.abc import Iterator

import pytest

from ccs_sdk import (
    BadRequestError,
    ContextClient,
    NotFoundError,
    PermissionDeniedError,
    verify_webhook,
)
from tests.sdk import faults
from tests.sdk.faults import FaultProxy
from tests.support.receivers import receiving
from tests.support.service import Account
from tests.support.waiting import wait_until

URL = "https://bot.example/changes"

pytestmark = pytest.mark.usefixtures("both")


@pytest.fixture
def admin(admins: Account) -> Iterator[ContextClient]:
    """A client whose key has the scope `admin`."""
    with ContextClient(admins.server_url, admins.id, api_key=admins.key) as client:
        yield client


def test_a_webhook_is_made_listed_paused_resumed_and_deleted(admin: ContextClient) -> None:
    made = admin.webhooks.create(URL, namespaces=["airline"], types=["property.set"])
    assert made.secret not in repr(made)
    assert admin.webhooks.list() == [made.info]
    assert admin.webhooks.get(made.id) == made.info
    assert (made.info.url, made.info.namespaces, made.info.types) == (URL, ["airline"], ["property.set"])  # fmt: skip
    assert (made.info.is_paused, made.info.lag, made.info.last_error) == (False, 0, None)
    assert admin.webhooks.pause(made.id).is_paused
    assert not admin.webhooks.resume(made.id).is_paused
    admin.webhooks.delete(made.id)
    admin.webhooks.delete(made.id)
    with pytest.raises(NotFoundError):
        admin.webhooks.get(made.id)


def test_what_it_sends_is_verified_and_replayed(admin: ContextClient) -> None:
    admin.namespace("airline").configure(changes="values")
    with receiving() as receiver:
        made = admin.webhooks.create(receiver.url)
        call = admin.namespace("airline").session("conv-1")
        call.set("intent", "cancel")
        wait_until(lambda: len(receiver.received) == 1)
        rotated = admin.webhooks.rotate_secret(made.id)
        call.set("intent", "rebook")
        wait_until(lambda: len(receiver.received) == 2)
        admin.webhooks.resume(made.id, after="start")
        wait_until(lambda: receiver.names == ["intent"] * 4)
    for delivery in receiver.received[1:]:
        messages = [
            verify_webhook(delivery.body, delivery.headers, secret)
            for secret in (made.secret, rotated.secret)
        ]
        assert messages[0].id == messages[1].id == delivery.id
        last = messages[0].changes[-1]
        assert (last.name, last.value, last.session_id) == ("intent", "rebook", "conv-1")


@pytest.mark.parametrize("lost", [faults.reset_after, faults.truncate])
def test_a_webhook_whose_secret_was_lost_gets_another(
    lost: faults.Fault, proxy: FaultProxy, admins: Account
) -> None:
    with ContextClient(proxy.url, admins.id, api_key=admins.key) as client:
        proxy.faults.append(lost)
        made = client.webhooks.create(URL)
        assert made.secret.startswith("whsec_")
        assert [webhook.id for webhook in client.webhooks.list()] == [made.id]


def test_errors_are_those_of_the_service(admin: ContextClient, client: ContextClient) -> None:
    with pytest.raises(BadRequestError):
        admin.webhooks.create("https://10.0.0.1/")
    with pytest.raises(PermissionDeniedError):
        client.webhooks.list()
    made = admin.webhooks.create(URL)
    with pytest.raises(BadRequestError):
        admin.webhooks.resume(made.id, after="x")
