"""Keys that the holder of an admin key manages: `/ext/v1/{account}/keys`, and the credentials of the extension."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from ccs_server.domain.access import Access, Scope
from ccs_server.domain.credentials import key_id_of
from ccs_server.store import credentials
from ccs_server.store.audit import read_audit
from ccs_server.store.credentials import KeyTerms
from ccs_server.store.database import Database
from tests.api.answers import TIMESTAMP, assert_empty, assert_error
from tests.support.clock import Clock
from tests.support.ending import assert_ends
from tests.support.service import Account, Server, environment, new_account, serving

EVERY_OPERATION: list[tuple[str, str, Any]] = [
    ("POST", "/keys", {"scope": "read"}),
    ("GET", "/keys", None),
    ("DELETE", "/keys/a1B2c3D4e5F6", None),
    ("POST", "/keys/a1B2c3D4e5F6/rotate", {"overlap": 0}),
]
BODIES = [each for each in EVERY_OPERATION if each[2] is not None]


@pytest.fixture
def account(server: Server, database: Database) -> Iterator[Account]:
    """An account whose key has the scope admin."""
    with new_account(server, database, "admin") as account:
        yield account


def ext(account: Account, method: str, path: str, body: Any = None, key: str = "") -> Any:
    return account.ext(method, path, json=body, headers={"maven-api-key": key or account.key})


def created(account: Account, **terms: Any) -> dict[str, Any]:
    response = ext(account, "POST", "/keys", {"scope": "write"} | terms)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def listed(account: Account) -> list[dict[str, Any]]:
    response = ext(account, "GET", "/keys")
    assert response.status_code == 200
    keys: list[dict[str, Any]] = response.json()["keys"]
    return keys


def status(account: Account, key: str) -> int:
    # A key that was never used is remembered nowhere.
    return account.v1("GET", "", headers={"maven-api-key": key}).status_code


def audited(account: Account, database: Database) -> list[tuple[str, str, str, Any]]:
    lines = read_audit(database, account.id)
    return [(line.action, line.subject, line.actor, line.details) for line in lines]


def test_a_key_is_created_with_its_rights_and_shown_once(account: Account) -> None:
    made = created(account, scope="read", label="reports", ns=["airline", "day_*"], expiresIn=3600)
    assert made["key"].startswith(f"ccs_{made['keyId']}_")
    assert TIMESTAMP.fullmatch(made["createdAt"])
    assert TIMESTAMP.fullmatch(made["expiresAt"])
    shown = {name: member for name, member in made.items() if name != "key"}
    assert shown | {"createdAt": "", "keyId": "", "expiresAt": ""} == {
        "keyId": "",
        "label": "reports",
        "scope": "read",
        "ns": ["airline", "day_*"],
        "createdAt": "",
        "expiresAt": "",
    }
    own, found = listed(account)
    assert found == shown
    assert own["keyId"] == key_id_of(account.key)
    assert (own["scope"], own["label"], own["expiresAt"]) == ("admin", "", None)
    assert "ns" not in own


def test_a_key_without_namespaces_and_end_has_all_and_none(account: Account) -> None:
    made = created(account)
    assert made["expiresAt"] is None
    assert "ns" not in made
    assert status(account, made["key"]) == 200


@pytest.mark.parametrize(("method", "path", "body"), EVERY_OPERATION)
def test_only_an_admin_may(
    account: Account, database: Database, method: str, path: str, body: Any
) -> None:
    before = listed(account)
    for scope in (Scope.READ, Scope.WRITE):
        key = credentials.create_key(
            database, account.id, terms=KeyTerms(Access(scope), expires_in=1)
        ).key
        assert_error(ext(account, method, path, body, key), 403)
    bearer = {"Authorization": f"Bearer {account.token}"}
    target = f"/ext/v1/{account.id}{path}"
    assert_error(account.call(method, target, bearer, json=body), 403)
    assert_error(account.call(method, target, {}, json=body), 401)
    assert {key["keyId"] for key in before} <= {key["keyId"] for key in listed(account)}


@pytest.mark.parametrize(
    "terms",
    [
        {"scope": "root"},
        {"scope": None},
        {"scope": "admin", "ns": ["airline"]},
        {"ns": []},
        {"ns": "airline"},
        {"ns": [""]},
        {"ns": ["a b"]},
        {"ns": ["a*b"]},
        {"ns": ["**"]},
        {"ns": ["sde"]},
        {"ns": ["x" * 129]},
        {"ns": ["x" * 129 + "*"]},
        {"ns": ["a"] * 101},
        {"ns": None},
        {"expiresIn": 0},
        {"expiresIn": -1},
        {"expiresIn": 1.5},
        {"expiresIn": 1e300},
        {"expiresIn": True},
        {"expiresIn": "60"},
        {"expiresIn": None},
        {"expiresIn": 2**31},
        {"label": 1},
        {"label": "x" * 257},
        {"label": "a\nb"},
        {"label": "a\u0000b"},
        {"namespaces": ["airline"]},
    ],
)
def test_terms_that_no_key_can_have_are_400(account: Account, terms: dict[str, Any]) -> None:
    assert_error(ext(account, "POST", "/keys", {"scope": "write"} | terms), 400)
    assert len(listed(account)) == 1


def test_a_key_has_a_scope(account: Account) -> None:
    assert_error(ext(account, "POST", "/keys", {"label": "x"}), 400, field="scope")


@pytest.mark.parametrize(("method", "path", "body"), EVERY_OPERATION)
def test_unknown_parameters_are_400(account: Account, method: str, path: str, body: Any) -> None:
    assert_error(ext(account, method, f"{path}?dry=", body), 400, field="dry")
    assert_error(ext(account, method, f"{path}?access_token=x", body), 400)


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
def test_bodies_are_json_objects_of_known_members(
    account: Account, method: str, path: str, body: Any
) -> None:
    assert_error(ext(account, method, path, body | {"other": 1}), 400)
    assert_error(ext(account, method, path, [body]), 400)
    text = {"Content-Type": "text/plain"}
    assert_error(account.ext(method, path, data=b"{}", headers=text), 415)
    large = b" " * (2**20 + 1)
    json = {"Content-Type": "application/json"}
    assert_error(account.ext(method, path, data=large, headers=json), 413)


def test_a_deleted_key_ends_and_deleting_none_is_harmless(
    account: Account, other_account: Account, database: Database
) -> None:
    made, kept = created(account), created(account)
    assert_empty(ext(account, "DELETE", f"/keys/{made['keyId']}"))
    assert status(account, made["key"]) == 403
    assert status(account, kept["key"]) == 200
    assert made["keyId"] not in {key["keyId"] for key in listed(account)}
    theirs = key_id_of(other_account.key)
    for none in (made["keyId"], theirs, "absent", "%00", "a" * 12, "%F0%9F%98%80"):
        assert_empty(ext(account, "DELETE", f"/keys/{none}"))
    assert other_account.v1("GET", "").status_code == 200
    actor = f"key:{key_id_of(account.key)}"
    revoked = [line for line in audited(account, database) if line[0] == "key.revoked"]
    assert revoked == [("key.revoked", made["keyId"], actor, None)]


def test_a_key_expires_exactly_and_is_listed_no_longer(account: Account, clock: Clock) -> None:
    made = created(account, expiresIn=100)
    clock.advance(seconds=99)
    assert len(listed(account)) == 2
    clock.advance(seconds=1)
    assert status(account, made["key"]) == 403
    assert len(listed(account)) == 1


def test_a_key_that_is_remembered_expires_exactly_too(account: Account) -> None:
    made = created(account, expiresIn=1)
    assert_ends(made["expiresAt"], lambda: status(account, made["key"]) == 200)


def test_a_rotated_key_keeps_its_rights_and_the_old_one_ends_after_the_overlap(
    account: Account, database: Database, clock: Clock
) -> None:
    old = created(account, scope="read", label="reports", ns=["a*"], expiresIn=1000)
    response = ext(account, "POST", f"/keys/{old['keyId']}/rotate", {"overlap": 60})
    assert response.status_code == 201
    new = response.json()
    assert new.keys() == old.keys()
    assert new["key"].startswith(f"ccs_{new['keyId']}_")
    for member in ("scope", "label", "ns", "expiresAt"):
        assert new[member] == old[member]
    clock.advance(seconds=59)
    ids = {key["keyId"] for key in listed(account)}
    assert {old["keyId"], new["keyId"]} <= ids
    clock.advance(seconds=1)
    assert status(account, old["key"]) == 403
    assert status(account, new["key"]) == 200
    actor = f"key:{key_id_of(account.key)}"
    details = {"replaced_by": new["keyId"], "overlap": 60}
    assert ("key.rotated", old["keyId"], actor, details) in audited(account, database)
    rights = {"scope": "read", "namespaces": ["a*"]}
    assert ("key.created", new["keyId"], actor, rights) in audited(account, database)


def test_an_overlap_extends_no_life(account: Account, clock: Clock) -> None:
    old = created(account, expiresIn=50)
    assert ext(account, "POST", f"/keys/{old['keyId']}/rotate", {"overlap": 604_800}).ok
    clock.advance(seconds=50)
    assert status(account, old["key"]) == 403


def test_numbers_with_a_fraction_of_zero_are_whole(account: Account) -> None:
    made = created(account, expiresIn=60.0)
    assert made["expiresAt"]
    path = f"/keys/{made['keyId']}/rotate"
    assert ext(account, "POST", path, {"overlap": 0.0}).status_code == 201


def test_without_overlap_the_old_key_ends_at_once(account: Account) -> None:
    old = created(account)
    new = ext(account, "POST", f"/keys/{old['keyId']}/rotate", {"overlap": 0}).json()
    assert status(account, old["key"]) == 403
    assert status(account, new["key"]) == 200


@pytest.mark.parametrize("overlap", [-1, 604_801, "1", None, 1.5])
def test_an_overlap_out_of_range_is_400(account: Account, overlap: Any) -> None:
    path = f"/keys/{key_id_of(account.key)}/rotate"
    assert_error(ext(account, "POST", path, {"overlap": overlap}), 400, field="overlap")
    assert_error(ext(account, "POST", path, {}), 400, field="overlap")
    assert len(listed(account)) == 1


def test_only_a_valid_key_of_the_account_is_rotated(
    account: Account, other_account: Account
) -> None:
    deleted = created(account)["keyId"]
    ext(account, "DELETE", f"/keys/{deleted}")
    for key_id in (deleted, key_id_of(other_account.key), "absent", "%00", "a" * 12):
        response = ext(account, "POST", f"/keys/{key_id}/rotate", {"overlap": 0})
        assert_error(response, 404)
    assert other_account.v1("GET", "").status_code == 200


def test_actions_of_keys_are_audited_with_the_key_that_did_them(
    account: Account, database: Database
) -> None:
    actor = f"key:{key_id_of(account.key)}"
    plain, limited = created(account)["keyId"], created(account, ns=["x"])["keyId"]
    rights = {"scope": "write", "namespaces": ["x"]}
    lines = audited(account, database)
    assert ("key.created", plain, actor, None) in lines
    assert ("key.created", limited, actor, rights) in lines


def test_a_bearer_token_goes_before_a_key(account: Account) -> None:
    target, good = f"/ext/v1/{account.id}/keys", {"maven-api-key": account.key}
    assert account.call("GET", target, good).status_code == 200
    garbage = good | {"Authorization": "Bearer garbage"}
    assert_error(account.call("GET", target, garbage), 401)
    token = good | {"Authorization": f"Bearer {account.token}"}
    assert_error(account.call("GET", target, token), 403)
    # What is no bearer token is none of these credentials.
    basic = good | {"Authorization": "Basic YTpi"}
    assert account.call("GET", target, basic).status_code == 200
    post = {"scope": "read"}
    assert account.call("POST", target, basic, json=post).status_code == 201


@pytest.fixture(scope="module")
def limited(database_url: str) -> Iterator[Server]:
    env = environment(CCS_DATABASE_URL=database_url, CCS_RATE_LIMIT="5/hour")
    with serving("--workers", "1", env=env) as server:
        yield server


def rate_of(response: requests.Response) -> tuple[str, int, int]:
    """The policy, and how many requests remain in how many seconds."""
    name, remaining, seconds = response.headers["RateLimit"].split(";")
    assert name == '"account"'
    assert (remaining[:2], seconds[:2]) == ("r=", "t=")
    return response.headers["RateLimit-Policy"], int(remaining[2:]), int(seconds[2:])


def test_responses_tell_the_rate_of_the_account(limited: Server, account: Account) -> None:
    here = replace(account, server_url=limited.url)
    policy = '"account";q=5;w=3600'
    for remaining, path, code in ((4, "/keys", 200), (3, "/keys?x=1", 400), (2, "/tokens", 405)):
        response = ext(here, "GET", path)
        assert response.status_code == code
        if code == 405:
            # The account of a request without a view is not looked up.
            assert "RateLimit" not in response.headers
            continue
        told, left, seconds = rate_of(response)
        assert (told, left) == (policy, remaining)
        assert 0 <= seconds <= 3600
    assert "RateLimit" not in here.v1("GET", "").headers
    assert [here.v1("GET", "").status_code for _ in range(3)] == [200, 200, 429]
    for refused in (here.v1("GET", ""), ext(here, "GET", "/keys")):
        assert_error(refused, 429)
        told, left, seconds = rate_of(refused)
        assert (told, left, seconds) == (policy, 0, int(refused.headers["Retry-After"]))


def test_responses_tell_no_rate_where_none_is_set(account: Account) -> None:
    response = ext(account, "GET", "/keys")
    assert not {"RateLimit", "RateLimit-Policy"} & response.headers.keys()
