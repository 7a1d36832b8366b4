"""The secrets of webhooks at rest. `tests/api/test_ext_webhooks.py` checks what is done to webhooks."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from ccs_server.domain.errors import LimitReached, Unavailable
from ccs_server.settings import Settings
from ccs_server.store.database import Database
from ccs_server.store.tables import webhook_secret
from ccs_server.store.webhooks import (
    WebhookChange,
    WebhookTerms,
    change_webhook,
    create_webhook,
    encrypt_webhook_secrets,
    list_webhooks,
)
from tests.store.test_signing_keys import dumped

OLD, NEW, OTHER = (letter * 32 for letter in (b"o", b"n", b"x"))
TERMS = WebhookTerms("https://bot.example/")

Opened = Callable[..., Database]


@pytest.fixture
def opened(own_url: str) -> Iterator[Opened]:
    """Opens the database with keys of `CCS_SECRET_KEY`."""
    with ExitStack() as stack:

        def open_(*keys: bytes) -> Database:
            database = Database(own_url, Settings(secret_key=keys))
            stack.callback(database.release)
            return database

        yield open_


def stored(database: Database) -> list[str]:
    with database.begin() as connection:
        return list(connection.scalars(select(webhook_secret.c.secret)))


def test_a_secret_is_not_in_the_database_if_there_is_a_secret_key(
    own_url: str, opened: Opened
) -> None:
    made = create_webhook(opened(NEW), "a", "key:1", TERMS)
    rotated = change_webhook(opened(NEW), "a", made.webhook.id, "key:1", WebhookChange(overlap=60))
    dump = dumped(own_url)
    assert made.webhook.id in dump
    for secret in (made.secret, rotated.secret):
        assert secret
        assert secret.removeprefix("whsec_") not in dump


def test_secrets_are_encrypted_again_with_a_new_key(opened: Opened) -> None:
    plain = create_webhook(opened(), "a", "key:1", TERMS)
    old = create_webhook(opened(OLD), "b", "key:1", TERMS)
    assert plain.secret in stored(opened())
    with pytest.raises(Unavailable, match=f"The secret of webhook {old.webhook.id} is encrypted"):
        encrypt_webhook_secrets(opened(NEW))
    assert plain.secret in stored(opened())
    assert encrypt_webhook_secrets(opened(NEW, OLD)) == sorted([plain.webhook.id, old.webhook.id])
    assert encrypt_webhook_secrets(opened(NEW)) == []
    assert not any(secret.startswith("whsec_") for secret in stored(opened()))


def test_concurrent_creations_do_not_exceed_the_limit(opened: Opened) -> None:
    database = opened()

    def create(_: int) -> bool:
        try:
            create_webhook(database, "a", "key:1", TERMS)
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(24))) == 20
    assert len(list_webhooks(database, "a")) == 20
