"""Deliveries to webhooks by running threads: in order, and whatever other receivers and instances do."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ccs_server.domain.receivers import read_networks
from ccs_server.serving import deliveries
from ccs_server.serving.deliveries import Deliveries
from ccs_server.serving.ending import Ending
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.saving import save
from ccs_server.store.sequencing import sequence
from ccs_server.store.webhooks import (
    ChangedWebhook,
    WebhookChange,
    WebhookTerms,
    change_webhook,
    create_webhook,
    find_webhook,
)
from tests.support.databases import Cluster, create_migrated_database
from tests.support.receivers import OK, Delivery, receiving
from tests.support.waiting import wait_until

SETTINGS = Settings(webhook_allow=read_networks("127.0.0.1"))

Hook = Callable[[str], ChangedWebhook]


@pytest.fixture(scope="module")
def url(cluster: Cluster, worker_id: str) -> str:
    """A database of these tests: services of others deliver too."""
    return create_migrated_database(cluster, f"delivering_{worker_id}")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url, SETTINGS)
    yield database
    database.release()


@pytest.fixture
def account(database: Database, request: pytest.FixtureRequest) -> str:
    """An account whose namespace `ns` logs values."""
    account = f"hooked-{request.node.name[:40]}"
    change_settings(database, account, "ns", changes="values")
    return account


@pytest.fixture
def hook(database: Database, account: str) -> Iterator[Hook]:
    """Creates webhooks of the account, which are paused at the end."""
    made: list[str] = []

    def create(url: str) -> ChangedWebhook:
        created = create_webhook(database, account, "key:1", WebhookTerms(url))
        made.append(created.webhook.id)
        return created

    yield create
    for id_ in made:
        change_webhook(database, account, id_, "key:1", WebhookChange(is_paused=True))


@contextmanager
def delivering(url: str, ending: Ending | None = None) -> Iterator[None]:
    """Delivers for the length of the block, as an instance does."""
    own = Database(url, SETTINGS)
    with Deliveries(own, ending or Ending(30.0)):
        yield


def change(database: Database, account: str, *names: str) -> None:
    for name in names:
        save(database, DocumentKey(account, "ns", "s"), b'{"%b": 1}' % name.encode())
    sequence(database)


def test_changes_are_delivered_once_in_order_and_signed(
    url: str, database: Database, account: str, hook: Hook
) -> None:
    with receiving() as receiver, delivering(url):
        made = hook(receiver.url)
        for number in range(30):
            change(database, account, f"n{number:02}")
        wait_until(lambda: len(receiver.names) == 30)
        wait_until(lambda: find_webhook(database, account, made.webhook.id).lag == 0)
    assert receiver.names == [f"n{number:02}" for number in range(30)]
    assert made.secret
    for delivery in receiver.received:
        assert delivery.verify(made.secret)["type"] == "changes"
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["user-agent"].startswith("ccs-server/")


def test_a_slow_receiver_holds_up_no_other(
    url: str, database: Database, account: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_STOP_SECONDS", 0.1)
    with receiving() as slow, receiving() as quick:
        with delivering(url):

            def wait(_: Delivery) -> bytes:
                slow.is_closing.wait(10.0)
                return OK

            slow.respond = wait
            for _ in range(10):
                hook(slow.url)
            hook(quick.url)
            change(database, account, "a")
            wait_until(lambda: len(slow.received) == 10)
            for name in "bcd":
                change(database, account, name)
            wait_until(lambda: quick.names == ["a", "b", "c", "d"])
        # One message at a time is under way to each.
        assert len(slow.received) == 10
        slow.is_closing.set()


def test_a_claim_is_renewed_while_a_receiver_is_waited_for(
    url: str, database: Database, account: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_RENEW_SECONDS", 0.05)
    monkeypatch.setattr("ccs_server.store.deliveries.CLAIM_SECONDS", 1)
    with receiving() as slow, delivering(url), delivering(url):

        def wait(_: Delivery) -> bytes:
            slow.is_closing.wait(2.0)
            return OK

        slow.respond = wait
        made = hook(slow.url)
        change(database, account, "a")
        wait_until(lambda: bool(slow.received))
        wait_until(lambda: find_webhook(database, account, made.webhook.id).lag == 0)
    assert slow.names == ["a"]


def test_another_instance_sends_again_what_was_under_way_at_the_end_of_one(
    url: str, database: Database, account: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_STOP_SECONDS", 0.1)
    with receiving() as receiver:

        def first_never(_: Delivery) -> bytes:
            if len(receiver.received) == 1:
                receiver.is_closing.wait(10.0)
            return OK

        receiver.respond = first_never
        hook(receiver.url)
        change(database, account, "a")
        ending = Ending(30.0)
        with delivering(url, ending):
            wait_until(lambda: len(receiver.received) == 1)
        with delivering(url):
            wait_until(lambda: len(receiver.received) == 2)
        first, second = receiver.received
        receiver.is_closing.set()
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"])


def test_two_instances_share_the_webhooks_and_send_nothing_twice(
    url: str, database: Database, account: str, hook: Hook
) -> None:
    with receiving() as receiver, delivering(url), delivering(url):
        for number in range(10):
            hook(receiver.url.replace("hook", f"hook{number}"))
        for name in "abc":
            change(database, account, name)
        wait_until(lambda: len(receiver.names) == 30)
    for number in range(10):
        its = [each for each in receiver.received if f"hook{number}?" in each.path]
        assert [name for delivery in its for name in delivery.names] == ["a", "b", "c"]


def test_a_failure_is_told_without_the_response(
    url: str, database: Database, account: str, hook: Hook
) -> None:
    with receiving() as receiver, delivering(url):
        receiver.respond = lambda _: b"HTTP/1.1 500 x\r\nContent-Length: 6\r\n\r\nsecret"
        failing, refused = hook(receiver.url), hook(f"http://127.0.0.2:{receiver.port}/")
        change(database, account, "a")

        def error(made: ChangedWebhook) -> str | None:
            return find_webhook(database, account, made.webhook.id).last_error

        wait_until(lambda: bool(error(failing) and error(refused)))
    assert error(failing) == "The receiver responded 500."
    assert error(refused) == "The address of the host is not public, and is not allowed."
    assert len(receiver.received) == 1


def test_a_receiver_that_is_gone_is_sent_nothing_more(
    url: str, database: Database, account: str, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver, delivering(url), caplog.at_level(logging.WARNING, "ccs.webhooks"):
        receiver.respond = lambda _: b"HTTP/1.1 410 x\r\nContent-Length: 0\r\n\r\n"
        made = hook(receiver.url)
        change(database, account, "a")
        wait_until(lambda: bool(caplog.messages))
    assert find_webhook(database, account, made.webhook.id).is_paused
    assert caplog.messages == [
        f"Webhook {made.webhook.id} of account {account} is paused: The receiver responded 410."
    ]


def test_an_outage_is_told_and_outlived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://nobody@127.0.0.1:{port}/none", Settings())
    with caplog.at_level(logging.WARNING, "ccs.webhooks"), Deliveries(database, Ending(30.0)):
        wait_until(lambda: len(caplog.messages) >= 2)
    assert set(caplog.messages) == {"The database cannot be reached; try again shortly."}
