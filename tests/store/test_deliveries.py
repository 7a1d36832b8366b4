"""What is delivered to webhooks, step by step: messages, retries, claims, and positions."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from ccs_server.domain.change_log import Position
from ccs_server.domain.webhooks import MAX_MESSAGE_BYTES
from ccs_server.settings import Settings
from ccs_server.store.audit import read_audit
from ccs_server.store.changes import LOOK_LIMIT, read_heads
from ccs_server.store.database import Database
from ccs_server.store.deliveries import (
    CLAIM_SECONDS,
    FORGOTTEN,
    Claimed,
    Message,
    WebhookPaused,
    claim,
    delivered,
    failed,
    find_due,
    has_webhooks,
    next_message,
    release,
)
from ccs_server.store.document import DocumentKey
from ccs_server.store.namespace_settings import change_settings
from ccs_server.store.purge import purge
from ccs_server.store.saving import save
from ccs_server.store.sequencing import sequence
from ccs_server.store.webhooks import (
    Webhook,
    WebhookChange,
    WebhookTerms,
    change_webhook,
    create_webhook,
    delete_webhook,
    find_webhook,
)
from tests.support.clock import Clock
from tests.support.databases import Cluster, create_migrated_database


class Hooked(NamedTuple):
    """A webhook of an account that logs values."""

    database: Database
    account: str
    id: str
    secret: str

    def save(self, *names: str, value: object = 1, ns: str = "ns") -> None:
        """Saves properties, one after the other, and brings the events into the log."""
        for name in names:
            body = json.dumps({name: value}).encode()
            save(self.database, DocumentKey(self.account, ns, "s"), body)
        sequence(self.database)

    def claim(self) -> Claimed:
        claimed = claim(self.database, self.account, self.id)
        assert claimed
        return claimed

    def begin(self) -> Message:
        """Claims the webhook and begins its next message."""
        message = next_message(self.database, self.claim())
        assert isinstance(message, Message)
        return message

    def fail(self, message: Message, reason: str = "No.", **options: Any) -> None:
        failed(self.database, message, reason, **options)

    @property
    def is_due(self) -> bool:
        return (self.account, self.id) in find_due(self.database, 1000)

    @property
    def state(self) -> Webhook:
        return find_webhook(self.database, self.account, self.id)

    def change(self, **change: Any) -> None:
        change_webhook(self.database, self.account, self.id, "key:1", WebhookChange(**change))


def names(message: Message) -> list[str]:
    return [event["name"] for event in json.loads(message.body)["data"]["events"]]


def hooked(database: Database, **terms: Any) -> Hooked:
    account = f"hooked-{token_hex(6)}"
    change_settings(database, account, "ns", changes="values")
    made = create_webhook(database, account, "key:1", WebhookTerms("https://bot.example/", **terms))
    assert made.secret
    return Hooked(database, account, made.webhook.id, made.secret)


@pytest.fixture(scope="module")
def url(cluster: Cluster, worker_id: str) -> str:
    """A database of these tests: services of others deliver too."""
    return create_migrated_database(cluster, f"deliveries_{worker_id}")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url, Settings())
    yield database
    database.release()


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    clock = Clock(database)
    yield clock
    clock.reset()


@pytest.fixture
def hook(database: Database) -> Hooked:
    return hooked(database)


def test_a_message_has_the_events_in_the_order_of_the_log(hook: Hooked) -> None:
    assert not hook.is_due
    hook.save("a", "b")
    assert hook.is_due
    message = hook.begin()
    said = json.loads(message.body)
    assert (said["type"], said["timestamp"]) == ("changes", said["data"]["events"][-1]["time"])
    assert names(message) == ["a", "b"]
    assert message.secrets == [hook.secret]
    assert message.size == 2
    event = said["data"]["events"][0]
    assert {"id", "type", "time", "ns", "session", "name", "value", "etag", "expiresAt"} == event.keys()  # fmt: skip
    claimed = delivered(hook.database, message)
    assert claimed
    assert next_message(hook.database, claimed) is None
    assert (hook.state.lag, hook.is_due) == (0, False)


def test_each_try_of_a_message_is_the_same_to_the_byte(hook: Hooked, clock: Clock) -> None:
    hook.save("a")
    first = hook.begin()
    hook.save("b")
    hook.fail(first)
    assert not hook.is_due
    clock.advance(seconds=6)
    assert hook.is_due
    second = hook.begin()
    assert (second.id, second.body) == (first.id, first.body)
    claimed = delivered(hook.database, second)
    assert claimed
    third = next_message(hook.database, claimed)
    assert isinstance(third, Message)
    assert names(third) == ["b"]
    assert third.id != first.id


def test_another_instance_goes_on_with_the_same_message_after_a_kill(
    hook: Hooked, clock: Clock
) -> None:
    hook.save("a")
    killed = hook.begin()
    hook.save("b")
    assert not hook.is_due
    assert claim(hook.database, hook.account, hook.id) is None
    clock.advance(seconds=CLAIM_SECONDS + 1)
    again = hook.begin()
    assert (again.id, again.body) == (killed.id, killed.body)
    # The first one was only slow.
    assert delivered(hook.database, killed) is None
    assert hook.state.lag == 2
    assert delivered(hook.database, again)
    assert hook.state.lag == 1


def test_one_instance_of_several_claims_a_webhook(hook: Hooked) -> None:
    hook.save("a")
    claimed = hook.claim()
    assert claim(hook.database, hook.account, hook.id) is None
    release(hook.database, claimed)
    assert hook.claim().claim == claimed.claim + 1
    release(hook.database, claimed)
    assert claim(hook.database, hook.account, hook.id) is None


def test_waits_grow_and_a_success_ends_them(hook: Hooked, clock: Clock) -> None:
    hook.save("a")
    for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 7200):
        hook.fail(hook.begin())
        clock.advance(seconds=0.89 * seconds)
        assert not hook.is_due
        clock.advance(seconds=0.22 * seconds)
        assert hook.is_due
    failing = hook.state
    assert failing.last_error == "No."
    assert failing.failing_since
    assert delivered(hook.database, hook.begin())
    assert (hook.state.last_error, hook.state.failing_since) == (None, None)
    clock.advance(seconds=CLAIM_SECONDS + 1)
    hook.save("b")
    hook.fail(hook.begin())
    clock.advance(seconds=6)
    assert hook.is_due


def test_a_receiver_may_ask_for_a_longer_wait(hook: Hooked, clock: Clock) -> None:
    hook.save("a")
    hook.fail(hook.begin(), retry_after=60.0)
    clock.advance(seconds=59)
    assert not hook.is_due
    clock.advance(seconds=2)
    assert hook.is_due


def test_a_webhook_is_paused_after_three_days_of_failure(hook: Hooked, clock: Clock) -> None:
    hook.save("a")
    hook.fail(hook.begin())
    clock.advance(seconds=3 * 86_400 - 60)
    hook.fail(hook.begin())
    assert not hook.state.is_paused
    clock.advance(seconds=7200)
    with pytest.raises(WebhookPaused, match=r"No\."):
        hook.fail(hook.begin())
    assert hook.state.is_paused
    assert (hook.state.lag, hook.state.last_error) == (1, "No.")
    hook.change(is_paused=False)
    assert (hook.state.failing_since, hook.state.last_error) == (None, None)
    assert names(hook.begin()) == ["a"]


def test_a_webhook_is_paused_at_once_if_the_receiver_is_gone(hook: Hooked) -> None:
    hook.save("a")
    with pytest.raises(WebhookPaused):
        hook.fail(hook.begin(), pause=True)
    assert hook.state.is_paused
    (line,) = [each for each in read_audit(hook.database, hook.account) if each.subject == hook.id][
        1:
    ]
    assert (line.action, line.actor) == ("webhook.changed", "service")
    assert line.details == {"state": "paused"}


def test_a_webhook_that_was_paused_meanwhile_stays_so(hook: Hooked) -> None:
    hook.save("a", "b")
    message = hook.begin()
    hook.change(is_paused=True)
    hook.fail(message)
    assert hook.state.is_paused
    hook.change(is_paused=False)
    message = hook.begin()
    hook.change(is_paused=True)
    claimed = delivered(hook.database, message)
    assert claimed
    hook.save("c")
    assert next_message(hook.database, claimed) is None
    assert not hook.is_due
    hook.change(is_paused=False)
    assert names(hook.begin()) == ["c"]


def test_changes_are_replayed_as_new_messages_even_while_one_is_under_way(hook: Hooked) -> None:
    start = hook.state.position
    hook.save("a")
    message = hook.begin()
    claimed = delivered(hook.database, message)
    assert claimed
    hook.save("b")
    under_way = next_message(hook.database, claimed)
    assert isinstance(under_way, Message)
    hook.change(position=start)
    assert delivered(hook.database, under_way) is None
    replayed = hook.begin()
    assert names(replayed) == ["a", "b"]
    assert replayed.id not in {message.id, under_way.id}


def test_changes_are_skipped(hook: Hooked) -> None:
    hook.save("a", "b", "c")
    epoch = read_heads(hook.database, [hook.account])[hook.account].epoch
    hook.change(position=Position(epoch, 2))
    assert names(hook.begin()) == ["c"]


def test_a_deleted_webhook_is_sent_nothing_more(hook: Hooked) -> None:
    hook.save("a")
    claimed = hook.claim()
    delete_webhook(hook.database, hook.account, hook.id, "key:1")
    assert next_message(hook.database, claimed) is None
    assert not hook.is_due


def test_only_wanted_events_are_delivered(database: Database) -> None:
    hook = hooked(database, namespaces=["ns"], types=["property.set", "namespace.deleted"])
    change_settings(database, hook.account, "other", changes="names")
    hook.save("other", ns="other")
    hook.save("a")
    message = hook.begin()
    assert names(message) == ["a"]
    assert delivered(database, message)


def test_a_webhook_moves_on_past_what_it_does_not_want(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccs_server.store.changes.LOOK_LIMIT", 2)
    assert LOOK_LIMIT > 2
    hook = hooked(database, namespaces=["quiet"])
    change_settings(database, hook.account, "quiet", changes="names")
    hook.save("a", "b", "c")
    hook.save("d", ns="quiet")
    claimed = hook.claim()
    moved = next_message(database, claimed)
    assert isinstance(moved, Claimed)
    message = next_message(database, moved)
    assert isinstance(message, Message)
    assert names(message) == ["d"]
    assert delivered(database, message)
    clock.advance(seconds=CLAIM_SECONDS + 1)
    hook.save("e")
    assert next_message(database, hook.claim()) is None
    assert hook.state.lag == 0


def test_a_message_has_at_most_100_events_and_256_kib(hook: Hooked) -> None:
    body = json.dumps({f"n{number:03}": number for number in range(150)}).encode()
    save(hook.database, DocumentKey(hook.account, "ns", "s"), body)
    hook.save(*"uvwxyz", value="é" * 20_000)
    message, sizes = hook.begin(), list[int]()
    seen = names(message)
    while isinstance(message, Message):
        assert len(message.body) <= MAX_MESSAGE_BYTES
        assert message.size <= 100
        sizes.append(message.size)
        claimed = delivered(hook.database, message)
        assert claimed
        found = next_message(hook.database, claimed)
        if not isinstance(found, Message):
            break
        message = found
        seen += names(message)
    assert seen == [*(f"n{number:03}" for number in range(150)), *"uvwxyz"]
    assert len(sizes) > 2


def test_a_value_that_fits_no_message_is_left_out(hook: Hooked) -> None:
    hook.save("large", value="x" * 300_000)
    hook.save("small")
    message = hook.begin()
    assert names(message) == ["large"]
    (event,) = json.loads(message.body)["data"]["events"]
    assert "value" not in event
    assert event["etag"]


def test_both_secrets_sign_during_the_overlap(hook: Hooked, clock: Clock) -> None:
    first = change_webhook(hook.database, hook.account, hook.id, "key:1", WebhookChange(overlap=60))
    second = change_webhook(hook.database, hook.account, hook.id, "key:1", WebhookChange(overlap=600))  # fmt: skip
    hook.save("a")
    message = hook.begin()
    assert message.secrets == [second.secret, first.secret, hook.secret]
    hook.fail(message)
    clock.advance(seconds=61)
    assert hook.begin().secrets == [second.secret, first.secret]
    change_webhook(hook.database, hook.account, hook.id, "key:1", WebhookChange(overlap=0))
    clock.advance(seconds=CLAIM_SECONDS + 1)
    (newest,) = hook.begin().secrets
    assert newest not in {second.secret, first.secret, hook.secret}


def test_a_secret_that_cannot_be_decrypted_is_a_failure(url: str, hook: Hooked) -> None:
    locked = Database(url, Settings(secret_key=(b"k" * 32,)))
    change_webhook(locked, hook.account, hook.id, "key:1", WebhookChange(overlap=0))
    locked.release()
    hook.save("a")
    assert next_message(hook.database, hook.claim()) is None
    assert "is not in CCS_SECRET_KEY" in str(hook.state.last_error)
    assert not hook.is_due


def test_what_the_log_has_forgotten_pauses_the_webhook_and_is_not_skipped(
    hook: Hooked, clock: Clock
) -> None:
    change_settings(hook.database, hook.account, "ns", keep_changes=1)
    hook.save("a")
    hook.fail(hook.begin())
    clock.advance(seconds=10)
    purge(hook.database)
    hook.save("b")
    with pytest.raises(WebhookPaused):
        next_message(hook.database, hook.claim())
    assert hook.state.is_paused
    assert hook.state.last_error == FORGOTTEN


def test_a_restored_store_delivers_nothing_until_it_is_told_from_where(hook: Hooked) -> None:
    hook.save("a")
    assert delivered(hook.database, hook.begin())
    with hook.database.begin() as connection:
        for change in ("change_head SET epoch = epoch + 1", "webhook SET claimed_until = NULL"):
            update = text(f"UPDATE {change} WHERE account = :account")
            connection.execute(update, {"account": hook.account})
    with pytest.raises(WebhookPaused):
        next_message(hook.database, hook.claim())


def test_events_that_were_erased_meanwhile_are_passed(hook: Hooked, clock: Clock) -> None:
    hook.save("a")
    hook.fail(hook.begin())
    with hook.database.begin() as connection:
        forget = text("DELETE FROM change WHERE account = :account")
        connection.execute(forget, {"account": hook.account})
    hook.save("b")
    clock.advance(seconds=6)
    moved = next_message(hook.database, hook.claim())
    assert isinstance(moved, Claimed)
    message = next_message(hook.database, moved)
    assert isinstance(message, Message)
    assert names(message) == ["b"]


def test_those_that_were_left_alone_longest_come_first(own_database: Database) -> None:
    hooks = [hooked(own_database) for _ in range(3)]
    for hook in hooks:
        hook.save("a")
    first, second, third = ((hook.account, hook.id) for hook in hooks)
    release(own_database, hooks[0].claim())
    release(own_database, hooks[2].claim())
    assert find_due(own_database, 10) == [second, first, third]
    assert find_due(own_database, 1) == [second]
    assert has_webhooks(own_database)
    for hook in hooks:
        hook.change(is_paused=True)
    assert not has_webhooks(own_database)
    assert find_due(own_database, 10) == []
