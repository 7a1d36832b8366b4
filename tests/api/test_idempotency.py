"""Requests with an Idempotency-Key take place once (section 11 of the extension's contract)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from secrets import token_hex
from typing import Any

import pytest
from requests import Response

from ccs_server.domain.access import Access, Scope
from ccs_server.store.connection import Statement
from ccs_server.store.credentials import KeyTerms, create_key
from ccs_server.store.database import Database
from tests.api.answers import assert_error
from tests.support.clock import Clock
from tests.support.service import Account
from tests.support.waiting import wait_until

COUNT = {"op": "incr", "name": "n"}
TWO = [COUNT, {"op": "incr", "ns": "orders", "session": "s2", "name": "n"}]
REPLAYED = "Idempotency-Replayed"


def once(account: Account, key: str, *operations: dict[str, Any]) -> Response:
    return account.ops(*operations, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("batch", [[COUNT], TWO, [{"op": "get"}, COUNT]])
def test_a_repeated_request_has_the_first_answer_and_no_other_effect(
    account: Account, batch: list[dict[str, Any]]
) -> None:
    key = token_hex(8)
    first = once(account, key, *batch)
    assert first.status_code == 200
    assert REPLAYED not in first.headers
    account.results(COUNT)
    for again in (key, f'"{key}"'):
        repeated = once(account, again, *batch)
        assert (repeated.status_code, repeated.content) == (200, first.content)
        assert repeated.headers[REPLAYED] == "true"
    assert account.v1("GET", "/orders/s1/properties/n").json() == 2


def test_another_body_with_the_same_key_is_422_and_has_no_effect(account: Account) -> None:
    key = token_hex(8)
    once(account, key, COUNT)
    assert_error(once(account, key, *TWO), 422)
    assert account.v1("GET", "/orders/session-ids").json() == ["s1"]


def test_only_what_was_done_is_stored(account: Account) -> None:
    key = token_hex(8)
    account.v1("PUT", "/orders/s1/properties/n", json="text")
    assert_error(once(account, key, COUNT), 409)
    account.v1("PUT", "/orders/s1/properties/n", json=1)
    done = once(account, key, COUNT)
    assert (done.status_code, REPLAYED in done.headers) == (200, False)


def test_an_answer_is_kept_for_a_day(account: Account, clock: Clock) -> None:
    key = token_hex(8)
    once(account, key, COUNT)
    clock.advance(seconds=86_399)
    assert once(account, key, COUNT).headers[REPLAYED] == "true"
    clock.advance(seconds=2)
    assert REPLAYED not in once(account, key, *TWO).headers


def test_keys_are_of_one_account(account: Account, other_account: Account) -> None:
    key = token_hex(8)
    once(account, key, COUNT)
    assert REPLAYED not in once(other_account, key, COUNT).headers


@pytest.mark.parametrize("key", ["", "é", "a\tb", "x" * 256, '"' + "x" * 256 + '"'])
def test_a_malformed_key_is_400(account: Account, key: str) -> None:
    response = account.ops(COUNT, headers={"Idempotency-Key": key.encode()})  # type: ignore[dict-item]
    assert_error(response, 400, field="Idempotency-Key")
    assert account.v1("GET", "").json() == []


def test_operations_that_are_not_atomic_take_no_key(account: Account) -> None:
    response = account.ops(COUNT, atomic=False, headers={"Idempotency-Key": "a"})
    assert_error(response, 400, field="atomic")


@pytest.mark.parametrize("batch", [[COUNT], TWO])
def test_concurrent_tries_take_effect_once(account: Account, batch: list[dict[str, Any]]) -> None:
    key = token_hex(8)
    with ThreadPoolExecutor(8) as threads:
        responses = [*threads.map(lambda _: once(account, key, *batch), range(16))]
    statuses = {response.status_code for response in responses}
    assert 200 in statuses <= {200, 409}
    for response in responses:
        if response.status_code == 409:
            assert response.headers["Retry-After"] == "1"
    assert account.v1("GET", "/orders/s1/properties/n").json() == 1


HOLD = Statement.of(
    "test_hold_document",
    "SELECT pg_advisory_xact_lock_shared(hashtextextended($1 || '/orders/s1', 0))",
)

WAITING = Statement.of(
    "test_waiting_for_document",
    """
    SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted
    """,
)


def test_a_repetition_while_the_first_try_runs_is_409_at_once(
    account: Account, database: Database
) -> None:
    key = token_hex(8)
    with ThreadPoolExecutor(1) as thread:
        with database.transaction() as connection:
            connection.execute(HOLD, [account.id.encode()])
            first = thread.submit(once, account, key, {"op": "delete"}, COUNT)
            wait_until(lambda: database.execute(WAITING).ntuples == 1)
            response = once(account, key, {"op": "delete"}, COUNT)
            assert_error(response, 409)
            assert response.headers["Retry-After"] == "1"
        assert first.result().status_code == 200
    assert account.v1("GET", "/orders/s1/properties/n").json() == 1


@pytest.fixture
def admin(account: Account, database: Database) -> Account:
    """The account, with a key of the scope `admin`."""
    terms = KeyTerms(Access(Scope.ADMIN))
    return replace(account, key=create_key(database, account.id, terms=terms).key)


def test_a_key_is_created_once_and_its_secret_is_shown_once(admin: Account) -> None:
    headers = {"Idempotency-Key": token_hex(8)}
    body = {"label": "reports", "scope": "read"}
    first = admin.ext("POST", "/keys", json=body, headers=headers)
    again = admin.ext("POST", "/keys", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json() | {"key": None}
    labels = [key["label"] for key in admin.ext("GET", "/keys").json()["keys"]]
    assert labels.count("reports") == 1
    assert_error(admin.ext("POST", "/keys", json={"scope": "read"}, headers=headers), 422)


def test_a_key_is_rotated_once(admin: Account) -> None:
    key_id = admin.ext("POST", "/keys", json={"label": "a", "scope": "read"}).json()["keyId"]
    headers = {"Idempotency-Key": token_hex(8)}
    path = f"/keys/{key_id}/rotate"
    first = admin.ext("POST", path, json={"overlap": 0}, headers=headers)
    again = admin.ext("POST", path, json={"overlap": 0}, headers=headers)
    assert first.status_code == 201, first.text
    assert again.json() == first.json() | {"key": None}


def test_a_token_is_issued_once(account: Account) -> None:
    headers = {"Idempotency-Key": token_hex(8)}
    body = {"ns": "orders", "session": "s1", "scope": "read"}
    first = account.ext("POST", "/tokens", json=body, headers=headers)
    again = account.ext("POST", "/tokens", json=body, headers=headers)
    assert first.json()["token"]
    assert again.json() == {"token": None, "expiresAt": first.json()["expiresAt"]}
    assert again.headers[REPLAYED] == "true"
