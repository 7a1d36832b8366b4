"""Session tokens: `/ext/v1/{account}/tokens`. What they reach in v1 is in `test_access.py`."""

import time
from datetime import datetime
from typing import Any

import jwt
import pytest
import requests

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.credentials import key_id_of
from ccs_server.store import credentials
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import load_signing_keys
from tests.api.answers import TIMESTAMP, assert_error
from tests.api.rows import V2_ROWS, v2_rows
from tests.support.clock import Clock
from tests.support.ending import assert_ends
from tests.support.service import Account

BODY = {"ns": "orders", "session": "s1", "scope": "write"}
PATH = "/orders/s1/properties"
SECONDS = 5


def ask(account: Account, key: str = "", **members: Any) -> requests.Response:
    headers = {"maven-api-key": key or account.key}
    return account.ext("POST", "/tokens", json=BODY | members, headers=headers)


def issued(account: Account, key: str = "", **members: Any) -> str:
    response = ask(account, key, **members)
    assert response.status_code == 201, response.text
    token: str = response.json()["token"]
    return token


def new_key(account: Account, database: Database, **terms: Any) -> str:
    return credentials.create_key(database, account.id, terms=KeyTerms(**terms)).key


def read(account: Account, token: str, header: str = "Authorization") -> requests.Response:
    value = f"Bearer {token}" if header == "Authorization" else token
    return account.call("GET", f"/v1/account/{account.id}{PATH}", {header: value})


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_token_is_a_jwt_that_anybody_can_verify(account: Account) -> None:
    response = ask(account, names=["b", "a"], expiresIn=60)
    assert response.status_code == 201
    made = response.json()
    assert made.keys() == {"token", "expiresAt"}
    keys = requests.get(f"{account.server_url}/.well-known/jwks.json", timeout=10).json()
    public = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(made["token"])["kid"]]
    claims = jwt.decode(made["token"], public, ["EdDSA"], audience="ccs-session")
    assert claims | {"iat": 0, "exp": 0} == {
        "sub": f"key:{key_id_of(account.key)}",
        "tenantId": account.id,
        "aud": "ccs-session",
        "iat": 0,
        "exp": 0,
        "ns": "orders",
        "session": "s1",
        "scope": "write",
        "names": ["a", "b"],
    }
    assert TIMESTAMP.fullmatch(made["expiresAt"])
    assert datetime.fromisoformat(made["expiresAt"]).timestamp() == claims["exp"]
    assert 58 < claims["exp"] - time.time() < 61


def test_a_token_lives_15_minutes_unless_told(account: Account) -> None:
    claims = claims_of(issued(account))
    assert 899 <= claims["exp"] - claims["iat"] <= 901
    assert "names" not in claims


@pytest.mark.parametrize(
    "members",
    [
        {"expiresIn": 59},
        {"expiresIn": 3601},
        {"expiresIn": "900"},
        {"expiresIn": None},
        {"scope": "admin"},
        {"scope": None},
        {"ns": "a b"},
        {"ns": "sde"},
        {"ns": "day_*"},
        {"ns": None},
        {"session": ""},
        {"session": "a/b"},
        {"session": "properties"},
        {"session": None},
        {"names": []},
        {"names": [""]},
        {"names": "size"},
        {"names": ["a\u0000"]},
        {"names": ["x"] * 21},
        {"names": None},
        {"sessionId": "s1"},
    ],
)
def test_what_no_token_can_have_is_400(account: Account, members: dict[str, Any]) -> None:
    assert_error(ask(account, **members), 400)


@pytest.mark.parametrize("name", ["ns", "session", "scope"])
def test_namespace_session_and_scope_are_required(account: Account, name: str) -> None:
    body = {member: value for member, value in BODY.items() if member != name}
    assert_error(account.ext("POST", "/tokens", json=body), 400, field=name)


def test_unknown_parameters_are_400(account: Account) -> None:
    response = account.ext("POST", "/tokens?ns=orders", json=BODY)
    assert_error(response, 400, field="ns")


def test_a_key_gives_only_rights_that_it_has(account: Account, database: Database) -> None:
    reader = new_key(account, database, access=Access(Scope.READ))
    assert_error(ask(account, reader), 403)
    assert ask(account, reader, scope="read").status_code == 201
    limited = new_key(account, database, access=Access(Scope.WRITE, ("ord*",)))
    assert ask(account, limited).status_code == 201
    assert_error(ask(account, limited, ns="other"), 403)


def statuses(account: Account, token: str, *operations: dict[str, Any]) -> list[int]:
    """What a batch of each of these operations answers to the token."""
    place = {"ns": "orders", "session": "s1"}
    bearer = {"Authorization": f"Bearer {token}"}
    target = f"/ext/v1/{account.id}/ops"
    return [
        account.call("POST", target, bearer, json={"ops": [place | operation]}).status_code
        for operation in operations
    ]


OPERATIONS: list[dict[str, Any]] = [
    {"op": "set", "name": "size", "value": 1},
    {"op": "set", "values": {"size": 1}},
    {"op": "get", "name": "size"},
    {"op": "get", "names": ["size"]},
    {"op": "touch", "name": "size"},
    {"op": "merge", "name": "size", "patch": {"a": 1}},
    {"op": "delete", "names": ["size"]},
    {"op": "incr", "name": "size"},
]
OTHER_NAMES: list[dict[str, Any]] = [
    {"op": "get"},
    {"op": "get", "names": ["size", "other"]},
    {"op": "set", "values": {"size": 1, "other": 1}},
    {"op": "delete"},
    {"op": "touch"},
    {"op": "lease", "owner": "me", "seconds": 1},
]


def test_a_token_reaches_operations_of_its_session_and_names(account: Account) -> None:
    names, all_, reader = (
        issued(account, names=["size"]),
        issued(account),
        issued(account, scope="read"),
    )
    assert statuses(account, names, *OPERATIONS) == [200] * len(OPERATIONS)
    assert statuses(account, names, *OTHER_NAMES) == [403] * len(OTHER_NAMES)
    assert statuses(account, all_, *OPERATIONS, *OTHER_NAMES) == [200] * 14
    reads = [operation["op"] == "get" for operation in (*OPERATIONS, *OTHER_NAMES)]
    expected = [200 if is_read else 403 for is_read in reads]
    assert statuses(account, reader, *OPERATIONS, *OTHER_NAMES) == expected
    for elsewhere in ({"session": "s2"}, {"ns": "other"}, {"session": "__default__"}):
        operations = [operation | elsewhere for operation in OPERATIONS]
        assert statuses(account, all_, *operations) == [403] * len(OPERATIONS)
    assert account.v1("GET", "/orders/s2/properties").json() == {}


def test_keys_reach_operations_that_their_rights_cover(
    account: Account, database: Database
) -> None:
    def status(key: str, *operations: dict[str, Any]) -> int:
        ops = [{"ns": "orders", "session": "s1"} | operation for operation in operations]
        headers = {"maven-api-key": key}
        return account.ext("POST", "/ops", json={"ops": ops}, headers=headers).status_code

    reader = new_key(account, database, access=Access(Scope.READ, ("ord*",)))
    writer = new_key(account, database, access=Access(Scope.WRITE, ("ord*",)))
    save, read_ = OPERATIONS[0], {"op": "get"}
    assert [status(reader, read_), status(reader, save), status(reader, read_, save)] == [
        200,
        403,
        403,
    ]
    assert [status(writer, save), status(writer, save, save | {"ns": "other"})] == [200, 403]
    assert status(writer, read_ | {"ns": "other"}) == 403


def test_a_token_makes_no_token(account: Account) -> None:
    token = issued(account)
    assert_error(ask(account, token), 403)
    bearer = {"Authorization": f"Bearer {token}"}
    target = f"/ext/v1/{account.id}/tokens"
    assert_error(account.call("POST", target, bearer, json=BODY), 403)


def test_a_user_of_v2_makes_tokens_that_end_with_the_user(
    account: Account, database: Database
) -> None:
    bearer = {"Authorization": f"Bearer {account.token}"}
    response = account.call("POST", f"/ext/v1/{account.id}/tokens", bearer, json=BODY)
    assert response.status_code == 201
    token = response.json()["token"]
    credentials.revoke_credential(database, account.id, account.username)
    assert_error(read(account, token), 401)


def test_a_token_of_another_account_is_403(account: Account, other_account: Account) -> None:
    token = issued(account)
    for header in ("Authorization", "maven-api-key"):
        value = f"Bearer {token}" if header == "Authorization" else token
        target = f"/v1/account/{other_account.id}{PATH}"
        assert_error(account.call("GET", target, {header: value}), 403)


def test_a_token_ends_exactly(account: Account, clock: Clock) -> None:
    tokens = [issued(account, expiresIn=60) for _ in range(3)]
    assert read(account, tokens[0]).status_code == 200
    clock.advance(seconds=59)
    assert read(account, tokens[1], "maven-api-key").status_code == 200
    clock.advance(seconds=1)
    assert_error(read(account, tokens[2]), 401)
    assert_error(read(account, tokens[2], "maven-api-key"), 403)


def test_a_token_that_is_remembered_ends_with_its_key_exactly(
    account: Account, database: Database
) -> None:
    key = new_key(account, database, expires_in=1)
    response = ask(account, key, expiresIn=3600)
    made = response.json()
    assert_ends(made["expiresAt"], lambda: read(account, made["token"]).status_code == 200)
    assert_error(read(account, made["token"]), 401)
    assert_error(read(account, made["token"], "maven-api-key"), 403)


def test_tokens_of_a_revoked_key_stop_working_within_5_seconds(
    account: Account, database: Database
) -> None:
    made = credentials.create_key(database, account.id)
    token = issued(account, made.key)
    assert read(account, token).status_code == 200
    assert read(account, token, "maven-api-key").status_code == 200
    credentials.revoke_key(database, account.id, made.key_id)
    since = time.monotonic()
    for header, status in (("Authorization", 401), ("maven-api-key", 403)):
        while (response := read(account, token, header)).status_code == 200:
            assert time.monotonic() - since < SECONDS
            time.sleep(0.05)
        assert_error(response, status)


@pytest.mark.parametrize("row", V2_ROWS)
def test_v2_answers_a_session_token_401(account: Account, row: str) -> None:
    call = v2_rows(account.id)[row]
    token = issued(account)
    assert read(account, token).status_code == 200
    bearer = {"Authorization": f"Bearer {token}"}
    assert_error(account.call(call.method, f"/v2{call.path}", bearer, **call.arguments), 401)
    target = f"/v2{call.path}?access_token={token}"
    assert_error(account.call(call.method, target, {}, **call.arguments), 401)


def signed(database: Database, claims: dict[str, Any]) -> str:
    key = load_signing_keys(database, token_lifetime=86_400).newest
    return jwt.encode(claims, key.private_key, "EdDSA", headers={"kid": key.key_id})


@pytest.mark.parametrize(
    "change",
    [
        {"aud": None},
        {"aud": "other"},
        {"aud": ["ccs-session"]},
        {"sub": None},
        {"sub": "key:absent"},
        {"sub": "nonsense"},
        {"tenantId": None},
        {"tenantId": "other"},
        {"exp": None},
        {"exp": 1},
        {"exp": "never"},
        {"ns": None},
        {"session": None},
        {"session": 1},
        {"scope": "admin"},
        {"scope": None},
        {"names": "size"},
    ],
)
def test_a_token_with_other_claims_is_401_and_403_as_key(
    account: Account, database: Database, change: dict[str, Any]
) -> None:
    claims = claims_of(issued(account)) | change
    token = signed(database, {name: claim for name, claim in claims.items() if claim is not None})
    assert_error(read(account, token), 401)
    assert_error(read(account, token, "maven-api-key"), 403)


def test_a_forged_token_is_401_and_403_as_key(account: Account) -> None:
    head, claims, signature = issued(account, session="s2").split(".")
    _, other_claims, other_signature = issued(account).split(".")
    none = jwt.encode(claims_of(f"{head}.{claims}.{signature}"), "", algorithm="none")
    for token in (
        f"{head}.{other_claims}.{signature}",
        f"{head}.{claims}.{other_signature}",
        f"{head}.{claims}.",
        none,
    ):
        assert_error(read(account, token), 401)
        assert_error(read(account, token, "maven-api-key"), 403)


def test_a_token_of_the_longest_names_fits_into_a_header(account: Account) -> None:
    names = [f"{number:02}" + "😀" * 254 for number in range(20)]
    account.v1("PATCH", PATH, json={names[3]: 1, "other": 2})
    token = issued(account, names=names)
    bearer = {"Authorization": f"Bearer {token}"}
    saved = account.call("PATCH", f"/v1/account/{account.id}{PATH}", bearer, json={names[4]: 5})
    assert saved.status_code == 204
    assert_error(read(account, token), 403)
