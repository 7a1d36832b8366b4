"""Revoked credentials stop working, and other credentials keep working."""

import time

import jwt
import requests

from ccs_server.store import credentials
from ccs_server.store.database import Database
from tests.api.answers import assert_error
from tests.support.service import Account, ccs, environment

# The maximum delay that the project promises for every instance.
SECONDS = 5
# So many requests, one after the other, have all workers respond.
EVERY_WORKER = 20


def operator(database_url: str, *arguments: str) -> None:
    done = ccs(*arguments, env=environment(CCS_DATABASE_URL=database_url))
    assert done.returncode == 0, done.stderr


def status_with(account: Account, key: str) -> int:
    # On a connection of its own, so that any worker may respond.
    headers = {"maven-api-key": key, "Connection": "close"}
    return account.v1("GET", "", headers=headers).status_code


def statuses_with(account: Account, key: str) -> set[int]:
    """What every worker says to the key."""
    return {status_with(account, key) for _ in range(EVERY_WORKER)}


def await_refusal(account: Account, key: str, since: float) -> requests.Response:
    """Returns the first response that is not 200, which must come in time."""
    while True:
        response = account.v1("GET", "", headers={"maven-api-key": key})
        if response.status_code != 200:
            return response
        assert time.monotonic() - since < SECONDS
        time.sleep(0.05)


def test_several_keys_of_an_account_are_valid_at_once(account: Account, database: Database) -> None:
    second = credentials.create_key(database, account.id)
    assert status_with(account, account.key) == 200
    assert status_with(account, second.key) == 200


def test_a_revoked_key_stops_working_within_5_seconds(
    account: Account, database: Database, database_url: str
) -> None:
    made = credentials.create_key(database, account.id)
    # Every worker has seen the key, and has it in whatever cache there is.
    assert statuses_with(account, made.key) == {200}

    operator(database_url, "keys", "revoke", account.id, "--key-id", made.key_id)
    since = time.monotonic()
    assert_error(await_refusal(account, made.key, since), 403)

    # Workers may learn of it at different times, but after 5 seconds all of them have.
    while statuses_with(account, made.key) != {403}:
        assert time.monotonic() - since < SECONDS
    assert status_with(account, account.key) == 200


def test_regenerating_revokes_all_keys_but_the_newest(
    account: Account, database: Database, database_url: str
) -> None:
    assert status_with(account, account.key) == 200
    newest = credentials.create_key(database, account.id)
    operator(database_url, "keys", "regenerate", account.id)
    assert_error(await_refusal(account, account.key, time.monotonic()), 403)
    assert status_with(account, newest.key) == 200


def test_a_revoked_password_gets_no_token(
    account: Account, database: Database, database_url: str
) -> None:
    made = credentials.create_credential(database, account.id)
    url = f"{account.server_url}/v2/authenticate/login"
    auth = (made.username, made.password)
    assert requests.post(url, auth=auth, timeout=10).status_code == 200
    operator(database_url, "credentials", "revoke", account.id, "--username", made.username)
    since = time.monotonic()
    while (response := requests.post(url, auth=auth, timeout=10)).status_code == 200:
        assert time.monotonic() - since < SECONDS
        time.sleep(0.05)
    assert_error(response, 401)


def test_tokens_of_a_revoked_user_stop_working_within_5_seconds(
    account: Account, database_url: str
) -> None:
    account.v1("PATCH", "/orders/properties", json={"a": 1})

    def read() -> requests.Response:
        return account.v2(
            "GET", f"/context/document/{account.id}/orders", headers={"Connection": "close"}
        )

    # Every worker has seen the token, and remembers it.
    assert {read().status_code for _ in range(EVERY_WORKER)} == {200}
    operator(database_url, "credentials", "revoke", account.id, "--username", account.username)
    since = time.monotonic()
    while (response := read()).status_code == 200:
        assert time.monotonic() - since < SECONDS
        time.sleep(0.05)
    assert_error(response, 401)


def test_tokens_work_everywhere_while_the_signing_key_is_replaced(
    account: Account, database_url: str
) -> None:
    """One worker signs with the new key before another knows it, which clients must not notice."""
    account.v1("PATCH", "/orders/properties", json={"a": 1})
    url = f"{account.server_url}/v2/context/document/{account.id}/orders"
    login = f"{account.server_url}/v2/authenticate/login"
    auth = (account.username, account.password)
    before = account.token
    old = jwt.get_unverified_header(before)["kid"]

    operator(database_url, "signing-keys", "rotate")
    until = time.monotonic() + SECONDS
    statuses, seen, anew = set(), set(), 0
    # Until every worker signs with the new key.
    while anew < EVERY_WORKER and time.monotonic() < until:
        token = requests.post(login, auth=auth, timeout=10).json()["token"]
        kid = jwt.get_unverified_header(token)["kid"]
        seen.add(kid)
        anew = anew + 1 if kid != old else 0
        for text in (before, token):
            answer = requests.get(url, params={"access_token": text}, timeout=10)
            statuses.add(answer.status_code)

    assert statuses == {200}
    assert seen - {old}
    published = requests.get(f"{account.server_url}/.well-known/jwks.json", timeout=10).json()
    assert seen <= {key["kid"] for key in published["keys"]}
