"""Webhooks over HTTP: `/ext/v1/{account}/webhooks`, and deliveries by the running service."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from requests import Response

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.credentials import key_id_of
from ccs_server.store.audit import read_audit
from ccs_server.store.credentials import KeyTerms, create_key
from ccs_server.store.database import Database
from ccs_server.store.purge import purge
from ccs_server.store.sequencing import sequence
from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.receivers import receiving
from tests.support.service import Account, Server, new_account
from tests.support.waiting import wait_until

URL = "https://bot.example/hook"
NONE = "/webhooks/a1B2c3D4e5F6"
EVERY_OPERATION: list[tuple[str, str, Any]] = [
    ("POST", "/webhooks", {"url": URL}),
    ("GET", "/webhooks", None),
    ("GET", NONE, None),
    ("PATCH", NONE, {"state": "paused"}),
    ("DELETE", NONE, None),
]


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope admin, and whose namespace `orders` logs values."""
    with new_account(server, database, "admin") as account:
        switched = account.ext("PATCH", "/namespaces/orders", json={"changes": "values"})
        assert switched.status_code == 200
        yield account


def ext(account: Account, method: str, path: str, body: Any = None, **headers: str) -> Response:
    return account.ext(method, path, json=body, headers=headers)


def create(account: Account, url: str = URL, **terms: Any) -> dict[str, Any]:
    response = ext(account, "POST", "/webhooks", {"url": url} | terms)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def change(account: Account, id_: str, **members: Any) -> dict[str, Any]:
    response = ext(account, "PATCH", f"/webhooks/{id_}", members)
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()
    return changed


def look(account: Account, id_: str) -> dict[str, Any]:
    response = ext(account, "GET", f"/webhooks/{id_}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def put(account: Account, name: str, value: Any = 1) -> None:
    response = account.v1("PUT", f"/orders/s1/properties/{name}", json=value)
    assert response.status_code == 204


def end_of_log(account: Account, database: Database) -> str:
    sequence(database)
    found = account.ext("GET", "/changes", params={"after": "now", "limit": "0"})
    return str(found.json()["next"])


def test_a_webhook_is_created_and_its_secret_shown_once(
    account: Account, database: Database
) -> None:
    made = create(account, ns=["orders"], types=["property.set"])
    secret = made.pop("secret")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert TIMESTAMP.fullmatch(made["createdAt"])
    assert made == look(account, made["id"])
    assert ext(account, "GET", "/webhooks").json() == {"webhooks": [made]}
    assert {name: made[name] for name in ("url", "ns", "types", "state", "lag")} == {
        "url": URL, "ns": ["orders"], "types": ["property.set"], "state": "active", "lag": 0,
    }  # fmt: skip
    assert (made["failingSince"], made["lastError"]) == (None, None)
    assert made["after"] == end_of_log(account, database)


def test_changes_arrive_and_a_paused_webhook_goes_on_where_it_was(account: Account) -> None:
    with receiving() as receiver:
        made = create(account, receiver.url)
        put(account, "a", {"n": 1.10})
        wait_until(lambda: receiver.names == ["a"])
        (delivery,) = receiver.received
        (event,) = delivery.verify(made["secret"])["data"]["events"]
        assert event["by"] == key_id_of(account.key)
        logged = account.ext("GET", "/changes", params={"ns": "orders"}).json()["changes"]
        assert event == logged[0]
        assert change(account, made["id"], state="paused")["state"] == "paused"
        put(account, "b")
        put(account, "c")
        wait_until(lambda: look(account, made["id"])["lag"] == 2)
        assert change(account, made["id"], state="active")["state"] == "active"
        wait_until(lambda: receiver.names == ["a", "b", "c"])
        wait_until(lambda: look(account, made["id"])["lag"] == 0)


def test_changes_are_replayed_and_skipped(account: Account) -> None:
    with receiving() as receiver:
        made = create(account, receiver.url)
        for name in "abc":
            put(account, name)
        wait_until(lambda: receiver.names == ["a", "b", "c"])
        wait_until(lambda: look(account, made["id"])["lag"] == 0)
        first = receiver.received[0].events[0]["id"]
        change(account, made["id"], after=first)
        wait_until(lambda: receiver.names == ["a", "b", "c", "b", "c"])
        change(account, made["id"], after="start")
        wait_until(lambda: receiver.names[5:] == ["a", "b", "c"])
        change(account, made["id"], state="paused")
        put(account, "d")
        wait_until(lambda: look(account, made["id"])["lag"] == 1)
        change(account, made["id"], after="now")
        assert look(account, made["id"])["lag"] == 0
        assert look(account, made["id"])["state"] == "paused"
        change(account, made["id"], state="active")
        put(account, "e")
        wait_until(lambda: receiver.names[8:] == ["e"])


def test_both_secrets_sign_during_the_overlap_and_one_afterwards(account: Account) -> None:
    with receiving() as receiver:
        made = create(account, receiver.url)
        rotated = change(account, made["id"], rotateSecret=True, overlap=60)
        put(account, "a")
        wait_until(lambda: receiver.names == ["a"])
        for secret in (made["secret"], rotated["secret"]):
            assert receiver.received[0].verify(secret)
        newest = change(account, made["id"], rotateSecret=True, overlap=0)
        assert "secret" not in change(account, made["id"], state="active")
        put(account, "b")
        wait_until(lambda: receiver.names == ["a", "b"])
        assert receiver.received[1].verify(newest["secret"])
        assert " " not in receiver.received[1].headers["webhook-signature"]


@pytest.mark.parametrize(("method", "path", "body"), EVERY_OPERATION)
def test_only_an_admin_may(
    account: Account, database: Database, method: str, path: str, body: Any
) -> None:
    for scope in (Scope.READ, Scope.WRITE):
        key = create_key(database, account.id, terms=KeyTerms(Access(scope), expires_in=60)).key
        assert_error(account.ext(method, path, json=body, headers={"maven-api-key": key}), 403)
    bearer = {"Authorization": f"Bearer {account.token}"}
    assert_error(account.call(method, f"/ext/v1/{account.id}{path}", bearer, json=body), 403)


@pytest.mark.parametrize(("method", "path", "body"), EVERY_OPERATION)
def test_unknown_parameters_are_400(account: Account, method: str, path: str, body: Any) -> None:
    assert_error(ext(account, method, f"{path}?dry=", body), 400, field="dry")


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"url": "bot.example"}, "url"),
        ({"url": "ftp://bot.example/"}, "url"),
        ({"url": "http://bot.example/"}, "url"),
        ({"url": "https://user@bot.example/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest/"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "url"),
        ({"url": "https://[64:ff9b::7f00:1]/"}, "url"),
        ({"url": "https://0x7f.2/"}, "url"),
        ({"url": 1}, "url"),
        ({"ns": ["a b"]}, "ns"),
        ({"ns": ["a"] * 21}, "ns"),
        ({"ns": "a"}, "ns"),
        ({"ns": None}, "ns"),
        ({"types": ["property.unset"]}, "types"),
        ({"types": ["property.set"] * 21}, "types"),
        ({"secret": "whsec_x"}, None),
        ({"state": "paused"}, None),
    ],
)
def test_what_no_webhook_can_be_is_400(
    account: Account, terms: dict[str, Any], field: str | None
) -> None:
    assert_error(ext(account, "POST", "/webhooks", {"url": URL} | terms), 400, field=field)
    assert ext(account, "GET", "/webhooks").json() == {"webhooks": []}


def test_a_host_without_an_address_may_get_one_later_but_needs_tls(account: Account) -> None:
    assert create(account, "https://nowhere.invalid/")
    refused = ext(account, "POST", "/webhooks", {"url": "http://nowhere.invalid/"})
    assert_error(refused, 400, field="url")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"state": "deleted"}, "state"),
        ({"state": None}, "state"),
        ({"after": "x"}, "after"),
        ({"after": ""}, "after"),
        ({"after": 1}, "after"),
        ({"overlap": 60}, "overlap"),
        ({"rotateSecret": False, "overlap": 60}, "overlap"),
        ({"rotateSecret": True, "overlap": -1}, "overlap"),
        ({"rotateSecret": True, "overlap": 604_801}, "overlap"),
        ({"rotateSecret": True, "overlap": 1.5}, "overlap"),
        ({"rotateSecret": "yes"}, "rotateSecret"),
        ({"url": URL}, None),
    ],
)
def test_what_cannot_be_changed_so_is_400(
    account: Account, members: dict[str, Any], field: str | None
) -> None:
    made = create(account)
    refused = ext(account, "PATCH", f"/webhooks/{made['id']}", members)
    assert_error(refused, 400, field=field)
    assert look(account, made["id"]) | {"secret": made["secret"]} == made


def test_a_cursor_of_another_account_is_400(
    account: Account, server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as other:
        other.ext("PATCH", "/namespaces/orders", json={"changes": "values"})
        cursor = end_of_log(other, database)
    made = create(account)
    assert_error(ext(account, "PATCH", f"/webhooks/{made['id']}", {"after": cursor}), 400)


def test_another_accounts_webhook_does_not_exist(
    account: Account, server: Server, database: Database
) -> None:
    with new_account(server, database, "admin") as other:
        made = create(account)
        path = f"/webhooks/{made['id']}"
        assert_error(ext(other, "GET", path), 404)
        assert_error(ext(other, "PATCH", path, {"state": "paused"}), 404)
        assert_empty(ext(other, "DELETE", path))
        assert ext(other, "GET", "/webhooks").json() == {"webhooks": []}
    assert look(account, made["id"])["state"] == "active"


def test_a_deleted_webhook_is_gone_and_deleting_none_is_harmless(account: Account) -> None:
    made = create(account)
    for _ in range(2):
        assert_empty(ext(account, "DELETE", f"/webhooks/{made['id']}"))
    for id_ in (made["id"], "absent", "%00", "%F0%9F%98%80"):
        assert_error(ext(account, "GET", f"/webhooks/{id_}"), 404)
        assert_error(ext(account, "PATCH", f"/webhooks/{id_}", {}), 404)
        assert_empty(ext(account, "DELETE", f"/webhooks/{id_}"))


def test_an_account_has_at_most_20(account: Account) -> None:
    made = [create(account) for _ in range(20)]
    assert_error(ext(account, "POST", "/webhooks", {"url": URL}), 409)
    ext(account, "DELETE", f"/webhooks/{made[0]['id']}")
    assert create(account)


def test_a_repeated_creation_or_rotation_takes_place_once(account: Account) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = (ext(account, "POST", "/webhooks", {"url": URL}, **key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json() | {"secret": None}
    assert len(ext(account, "GET", "/webhooks").json()["webhooks"]) == 1
    path, rotate = f"/webhooks/{first.json()['id']}", {"rotateSecret": True}
    other = {"Idempotency-Key": "k2"}
    rotated, again = (ext(account, "PATCH", path, rotate, **other) for _ in range(2))
    assert rotated.json()["secret"]
    assert again.json() == rotated.json() | {"secret": None}
    paused, again = (ext(account, "PATCH", path, {}, **{"Idempotency-Key": "k3"}) for _ in range(2))
    assert again.json() == paused.json()


def test_a_position_that_the_log_has_forgotten_is_410(
    account: Account, database: Database, clock: Clock
) -> None:
    account.ext("PATCH", "/namespaces/orders", json={"keepChanges": 1})
    made = create(account)
    path = f"/webhooks/{made['id']}"
    change(account, made["id"], state="paused")
    put(account, "a")
    sequence(database)
    clock.advance(seconds=10)
    purge(database)
    for body in ({"state": "active"}, {"after": made["after"]}):
        assert_error(ext(account, "PATCH", path, body), 410)
    assert look(account, made["id"])["state"] == "paused"
    changed = change(account, made["id"], state="active", after="start")
    assert (changed["state"], changed["lag"]) == ("active", 0)


def test_creation_changes_and_deletion_are_audited(account: Account, database: Database) -> None:
    made = create(account, "https://bot.example/path?token=private")
    change(account, made["id"], rotateSecret=True)
    for _ in range(2):
        change(account, made["id"], state="paused")
    change(account, made["id"], state="active", after="start")
    ext(account, "DELETE", f"/webhooks/{made['id']}")
    lines = [
        (line.action, line.actor, line.details)
        for line in read_audit(database, account.id)
        if line.subject == made["id"]
    ]
    actor = f"key:{key_id_of(account.key)}"
    assert lines == [
        ("webhook.created", actor, {"host": "bot.example"}),
        ("webhook.secret_rotated", actor, {"overlap": 86_400}),
        ("webhook.changed", actor, {"state": "paused"}),
        ("webhook.changed", actor, {"state": "active", "moved": True}),
        ("webhook.deleted", actor, None),
    ]
