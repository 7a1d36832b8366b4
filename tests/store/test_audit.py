"""The audit log has a line for each action on a credential and each deleted namespace, and none for failed actions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text

from ccs_server.domain.errors import NotFound
from ccs_server.settings import Settings
from ccs_server.store import audit, credentials, namespace_settings, namespaces, quotas, schema
from ccs_server.store.audit import read_audit
from ccs_server.store.database import Database
from ccs_server.store.faults import StoreFault
from ccs_server.store.jobs.resource import list_jobs
from ccs_server.store.purge import purge
from ccs_server.store.signing_keys import load_signing_keys, rotate_signing_keys
from tests.support.clock import Clock

Attempt = Callable[[], object]
Recorded = list[tuple[str, str, str]]


@pytest.fixture
def name() -> str:
    return f"test-{token_hex(6)}"


def recorded(database: Database, account: str | None) -> Recorded:
    return [(line.action, line.subject, line.actor) for line in read_audit(database, account)]


def test_the_life_of_a_key_is_recorded(database: Database, name: str) -> None:
    first, second, third = (
        credentials.create_key(database, name, "operator:ada").key_id for _ in range(3)
    )
    credentials.revoke_key(database, name, first, "operator:bob")
    credentials.keep_newest_key(database, name)
    credentials.revoke_all_keys(database, name)
    assert recorded(database, name) == [
        *(("key.created", key, "operator:ada") for key in (first, second, third)),
        ("key.revoked", first, "operator:bob"),
        ("key.revoked", second, "operator"),
        ("key.revoked", third, "operator"),
    ]
    replaced = [line.details for line in read_audit(database, name) if line.subject == second]
    assert replaced == [None, {"replaced_by": third}]


def test_the_life_of_a_credential_is_recorded(database: Database, name: str) -> None:
    first, second = (credentials.create_credential(database, name).username for _ in range(2))
    credentials.revoke_credential(database, name, first)
    credentials.revoke_all_credentials(database, name)
    assert recorded(database, name) == [
        ("credential.created", first, "operator"),
        ("credential.created", second, "operator"),
        ("credential.revoked", first, "operator"),
        ("credential.revoked", second, "operator"),
    ]


def test_changes_of_signing_keys_are_recorded_for_the_installation(own_database: Database) -> None:
    first = load_signing_keys(own_database, 60).newest.key_id
    second = rotate_signing_keys(own_database)
    assert recorded(own_database, None) == [
        ("signing_key.created", first, "service"),
        ("signing_key.rotated", second, "operator"),
    ]
    assert {line.account for line in read_audit(own_database)} == {None}


def test_the_first_key_is_recorded_as_made_by_the_service(own_database: Database) -> None:
    made = credentials.create_first_key(own_database, "demo")
    assert made
    assert credentials.create_first_key(own_database, "demo") is None
    assert recorded(own_database, "demo") == [("key.created", made.key_id, "service")]


def test_the_first_use_is_recorded_once(database: Database, name: str) -> None:
    key, user = (
        credentials.create_key(database, name),
        credentials.create_credential(database, name),
    )
    found_key = credentials.find_key(database, key.key_id)
    found_user = credentials.find_credential(database, user.username)
    assert found_key
    assert found_user
    assert not found_key.was_used
    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            pool.submit(credentials.use_key, database, found_key)
            pool.submit(credentials.use_credential, database, found_user)
    assert sorted(recorded(database, name)[2:]) == [
        ("credential.first_used", user.username, f"user:{user.username}"),
        ("key.first_used", key.key_id, f"key:{key.key_id}"),
    ]
    again = credentials.find_key(database, key.key_id)
    assert again
    assert again.was_used


def test_a_deleted_namespace_is_recorded_with_the_actor(database: Database, name: str) -> None:
    namespaces.register_namespace(database, name, "airline", None)
    namespaces.delete_namespace(database, name, "airline", "key:abc")
    namespaces.delete_namespace(database, name, "airline", "key:def")
    (line,) = read_audit(database, name)
    assert (line.action, line.subject, line.actor) == ("namespace.deleted", "airline", "key:abc")
    assert line.details
    assert line.details.keys() == {"namespace_id", "created_at"}
    assert abs(line.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_changed_settings_are_recorded_with_both_values(database: Database, name: str) -> None:
    def change(**settings: Any) -> None:
        namespace_settings.change_settings(database, name, "ns", **settings, by="key:k")

    change(changes="values", keep_changes=60)
    change(changes="values", keep_changes=60)
    change(changes="off", index=["b", "a"], sort_by_update=True)
    job = list_jobs(database, name)[0].id
    lines = [line for line in read_audit(database, name) if line.action != "job.ended"]
    changed = [line.details for line in lines if line.action == "namespace.changed"]
    assert changed == [
        {
            "changes": {"from": "off", "to": "values"},
            "keepChanges": {"from": 604_800, "to": 60},
        },
        {
            "changes": {"from": "values", "to": "off"},
            "index": {"from": [], "to": ["a", "b"]},
            "sortByUpdate": {"from": False, "to": True},
        },
    ]
    assert {(line.action, line.subject, line.actor) for line in lines} == {
        ("namespace.changed", "ns", "key:k"),
        ("job.created", job, "key:k"),
    }


def test_changed_quotas_are_recorded_with_both_limits(database: Database, name: str) -> None:
    quotas.set_quota(database, name, {"properties": 5, "requests": "1/second"})
    quotas.set_quota(database, name, {"properties": 5})
    quotas.set_quota(database, name, {"properties": 6}, "operator:ann")
    quotas.clear_quota(database, name, "operator:ann")
    lines = list(read_audit(database, name))
    assert [(line.action, line.subject, line.actor) for line in lines] == [
        ("quota.changed", name, "operator"),
        ("quota.changed", name, "operator:ann"),
        ("quota.changed", name, "operator:ann"),
    ]
    rate = {"from": None, "to": "1/second"}
    assert [line.details for line in lines] == [
        {"properties": {"from": None, "to": 5}, "requests": rate},
        {"properties": {"from": 5, "to": 6}},
        {"properties": {"from": 6, "to": None}, "requests": {"from": "1/second", "to": None}},
    ]


def test_an_action_that_fails_is_not_recorded(database: Database, name: str) -> None:
    with pytest.raises(NotFound):
        credentials.revoke_key(database, name, "nothing")
    with pytest.raises(NotFound):
        credentials.keep_newest_key(database, name)
    with pytest.raises(NotFound):
        credentials.revoke_credential(database, name, "nobody")
    assert credentials.revoke_all_keys(database, name) == []
    namespaces.delete_namespace(database, name, "airline", "key:abc")
    assert recorded(database, name) == []


def test_an_action_that_cannot_be_recorded_is_rolled_back(own_database: Database) -> None:
    key = credentials.create_key(own_database, "a")
    user = credentials.create_credential(own_database, "a")
    namespaces.register_namespace(own_database, "a", "airline", None)
    signing_key = load_signing_keys(own_database, 60).newest.key_id
    found = credentials.find_key(own_database, key.key_id)
    assert found
    with own_database.engine.connect() as connection:
        connection.execute(text("ALTER TABLE audit ADD CHECK (false) NOT VALID"))

    actions: list[Attempt] = [
        lambda: credentials.create_key(own_database, "a"),
        lambda: credentials.create_credential(own_database, "a"),
        lambda: credentials.use_key(own_database, found),
        lambda: credentials.revoke_key(own_database, "a", key.key_id),
        lambda: credentials.revoke_all_credentials(own_database, "a"),
        lambda: rotate_signing_keys(own_database),
        lambda: namespaces.delete_namespace(own_database, "a", "airline", "key:abc"),
    ]
    for action in actions:
        with pytest.raises(StoreFault, match="audit"):
            action()

    assert [issued.name for issued in credentials.list_keys(own_database, "a")] == [key.key_id]
    assert credentials.find_key(own_database, key.key_id) == found
    assert credentials.find_credential(own_database, user.username)
    assert load_signing_keys(own_database, 60).newest.key_id == signing_key
    assert b"airline" in namespaces.list_namespaces(own_database, "a")


def test_lines_are_read_by_account_and_time_in_pages(
    own_database: Database, own_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_PAGE", 2)
    made = []
    for account in "abababa":
        own_clock.advance(seconds=60)
        made.append(credentials.create_key(own_database, account).key_id)
    assert [line.subject for line in read_audit(own_database)] == made
    assert [line.subject for line in read_audit(own_database, "a")] == made[::2]
    since = list(read_audit(own_database))[3].recorded_at
    assert [line.subject for line in read_audit(own_database, since=since)] == made[3:]
    assert [line.subject for line in read_audit(own_database, "b", since)] == made[3::2]


def test_lines_are_purged_after_the_configured_retention(own_url: str, own_clock: Clock) -> None:
    database = Database(own_url, Settings(audit_retention=3600))
    old = [credentials.create_key(database, "a").key_id for _ in range(5)]
    own_clock.advance(seconds=3540)
    new = credentials.create_key(database, "a").key_id
    assert purge(database).audit_lines == 0
    assert len(recorded(database, "a")) == len(old) + 1
    own_clock.advance(seconds=120)
    assert purge(database, batch=2).audit_lines == len(old)
    assert recorded(database, "a") == [("key.created", new, "operator")]
    database.release()


def test_a_credential_older_than_the_audit_has_no_recorded_first_use(
    empty_database_url: str,
) -> None:
    schema.migrate(empty_database_url, "0002")
    database = Database(empty_database_url, Settings())
    with database.engine.connect() as connection:
        connection.execute(
            text("INSERT INTO api_key (key_id, account, key_hash) VALUES ('AAAAAAAAAAAA', 'a', '')")
        )
        schema.migrate(empty_database_url)
        # As the previous release inserts it, while it runs on a schema that was migrated already.
        connection.execute(
            text("INSERT INTO api_key (key_id, account, key_hash) VALUES ('BBBBBBBBBBBB', 'a', '')")
        )
    old, new = (credentials.find_key(database, letter * 12) for letter in "AB")
    assert old
    assert new
    assert (old.was_used, new.was_used) == (True, False)
    credentials.use_key(database, old)
    assert recorded(database, "a") == []
    database.release()
